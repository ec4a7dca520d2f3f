/**
 * Reading a file from a server, with a server of this test's own that can misbehave.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadModel } from '../browser/load-model.ts'
import { FormatError, ModelNotFoundError, UsageError } from '../errors.ts'
import { blobSource } from './blob-source.ts'
import { openRangeSource } from './range-source.ts'

/** Three blocks of 4 MiB and a bit. */
const SIZE = 3 * (4 << 20) + 12345
const file = new Uint8Array(SIZE).map((_, i) => (i * 2654435761) >>> 24)

type Answer = (request: IncomingMessage, response: ServerResponse) => void

function ranges(etag = '"a"', content = file): Answer {
  return (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const last = Math.min(Number(to), content.length - 1)
    const contentRange = `bytes ${from}-${last}/${content.length}`
    response.writeHead(206, { 'Content-Range': contentRange, ETag: etag })
    response.end(content.subarray(Number(from), last + 1))
  }
}

let answer: Answer = ranges()
let requests: string[] = []
const server = createServer((request, response) => {
  requests.push(request.headers.range ?? 'all')
  answer(request, response)
})
let url = new URL('http://localhost')

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`)
})
afterAll(() => void server.close())
beforeEach(() => {
  answer = ranges()
  requests = []
})

describe('openRangeSource', () => {
  test('reads any range, across blocks and at the end', async () => {
    const source = await openRangeSource(url)
    expect(source.size).toBe(SIZE)
    for (const [offset, length] of [
      [0, 4],
      [(4 << 20) - 3, 7],
      [100, 9 << 20],
      [SIZE - 5, 5],
      [SIZE, 0],
    ]) {
      // Comparing megabytes with toEqual takes a minute.
      const part = Buffer.from(file.slice(offset, offset + length))
      expect(part.equals(await source.read(offset, length))).toBe(true)
    }
    await source.close()
  })

  test('fetches each block once when a file is read from start to end', async () => {
    const source = await openRangeSource(url)
    for (let at = 0; at < SIZE; at += 1 << 20) {
      await source.read(at, Math.min(1 << 20, SIZE - at))
    }
    expect(requests).toHaveLength(4)
    await source.close()
  })

  test('refuses what lies behind the end', async () => {
    const source = await openRangeSource(url)
    await expect(source.read(SIZE - 1, 2)).rejects.toThrow(FormatError)
    await source.close()
  })

  test('takes the whole file from a server without ranges', async () => {
    answer = (_, response) => void response.writeHead(200).end(file)
    const source = await openRangeSource(url)
    expect(await source.read(SIZE - 9, 9)).toEqual(file.slice(SIZE - 9))
    expect(requests).toHaveLength(1)
  })

  test('notices that the file was replaced in the middle', async () => {
    const source = await openRangeSource(url)
    answer = ranges('"b"')
    await expect(source.read(10 << 20, 5)).rejects.toThrow('another version')
    await source.close()
  })

  test('refuses an answer that is too short', async () => {
    answer = (_, response) => {
      response.writeHead(206, { 'Content-Range': `bytes 0-99/${SIZE}` }).end('short')
    }
    await expect(openRangeSource(url)).rejects.toThrow(/Expected 4194304 bytes.*got 5/)
  })

  test('asks for the size where the server hides it', async () => {
    answer = (_, response) => void response.writeHead(206).end('x')
    await expect(openRangeSource(url)).rejects.toThrow('Access-Control-Expose-Headers')
  })

  test('says what the server answered, or that none did', async () => {
    answer = (_, response) => void response.writeHead(404).end()
    await expect(openRangeSource(url)).rejects.toThrow(/answered 404/)
    const nobody = new URL('http://127.0.0.1:1/')
    await expect(openRangeSource(nobody)).rejects.toThrow(ModelNotFoundError)
  })

  test('tries a block again after a failure', async () => {
    const source = await openRangeSource(url)
    answer = (_, response) => void response.writeHead(503).end()
    await expect(source.read(9 << 20, 1)).rejects.toThrow('503')
    answer = ranges()
    expect(await source.read(9 << 20, 1)).toEqual(file.slice(9 << 20, (9 << 20) + 1))
    await source.close()
  })

  test('ends with the signal of its caller', async () => {
    const controller = new AbortController()
    const source = await openRangeSource(url, { signal: controller.signal })
    answer = () => controller.abort(new Error('enough'))
    await expect(source.read(9 << 20, 1)).rejects.toThrow('enough')
  })
})

test('blobSource reads parts of a Blob', async () => {
  const source = blobSource(new Blob([file.slice(0, 100)]))
  expect([source.name, source.size]).toEqual(['blob', 100])
  expect(await source.read(98, 2)).toEqual(file.slice(98, 100))
  await expect(source.read(99, 2)).rejects.toThrow(FormatError)
})

test('loadModel refuses what is no address and what is no model', async () => {
  await expect(loadModel('no address')).rejects.toThrow(UsageError)
  await expect(loadModel(Uint8Array.of(1, 2, 3, 4, 5))).rejects.toThrow(FormatError)
})
