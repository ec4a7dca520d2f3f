/**
 * Downloads without a disk and without sockets, as a browser has them: a store in memory, and a `fetch`
 * that misbehaves as told. What is checked here is what the real ones cannot easily be made to do.
 */
import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../test/support/memory-store.ts'
import { BitnetError, DownloadError } from '../../errors.ts'
import { downloadFile, type FileDownload } from './download-file.ts'
import { ContentChangedError } from './fetch-span.ts'
import { HubClient, RefusedError } from './hub-client.ts'

const PIECE = 1000
const SIZE = 10 * PIECE + 77
const URL_OF_FILE = 'https://hub.test/some/model/resolve/main/model.gguf'
const DATA = 'model.gguf.bitnet.incomplete'
const JOURNAL = 'model.gguf.bitnet.journal'
const TUNING = {
  pace: { firstWaitMs: 1, longestWaitMs: 2, failures: 4, silenceMs: 1000 },
  connections: 3,
  pieceBytes: PIECE,
}

const content = new Uint8Array(SIZE).map((_, i) => (i * 2654435761) >> 9)
const WANTED: FileDownload = {
  url: URL_OF_FILE,
  target: 'model.gguf',
  lockName: 'model.lock',
  size: SIZE,
  hash: { algorithm: 'sha256', hex: createHash('sha256').update(content).digest('hex') },
}

interface Range {
  readonly start: number
  readonly end: number
}
/** What comes instead of the right answer; undefined: the right one. */
type Answer = (range: Range, count: number) => Response | undefined

let store: MemoryStore
let answer: Answer
let asked: Range[]
let states: string[]
beforeEach(() => {
  store = new MemoryStore()
  answer = () => undefined
  asked = []
  states = []
})

function part({ start, end }: Range, from = start): Response {
  const headers = { 'Content-Range': `bytes ${from}-${end - 1}/${SIZE}` }
  return new Response(content.slice(start, end), { status: 206, headers })
}

/** Sends `count` bytes of a range and then breaks off. */
function cut({ start, end }: Range, count: number): Response {
  const whole = part({ start, end })
  const body = new ReadableStream({
    // What was handed over before an error would be lost with it.
    pull: (stream) => {
      if (count === 0) return stream.error(new TypeError('terminated'))
      stream.enqueue(content.slice(start, start + count))
      count = 0
    },
  })
  return new Response(body, { status: 206, headers: whole.headers })
}

function download(
  signal?: AbortSignal,
  onBytes = (_count: number, _kept: boolean): void => {},
  wanted = WANTED,
) {
  const access = { endpoint: 'https://hub.test', token: undefined }
  const client = new HubClient(access, TUNING.pace, async (url, init) => {
    init.signal?.throwIfAborted()
    if (url.href !== URL_OF_FILE) throw new Error(`${url.href} was asked for.`)
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(init.headers['Range'] ?? '') ?? []
    const range = { start: Number(first), end: Number(last) + 1 }
    asked.push(range)
    return answer(range, asked.length) ?? part(range)
  })
  const events = { onBytes, onState: (state: string) => states.push(state) }
  return downloadFile(wanted, events, { client, store, tuning: TUNING, signal })
}

function askedBytes(): number {
  return asked.reduce((sum, { start, end }) => sum + end - start, 0)
}

/** Stops a download when so many bytes have come. */
async function stopAt(bytes: number): Promise<void> {
  const stop = new AbortController()
  let came = 0
  const stopped = download(stop.signal, (count) => {
    came += count
    if (came >= bytes) stop.abort(new Error('enough'))
  })
  await expect(stopped).rejects.toThrow('enough')
}

describe('a file', () => {
  test('comes in pieces, is checked, and is all that stays', async () => {
    expect(await download()).toBe(true)
    expect([...store.files.keys()]).toEqual(['model.gguf'])
    expect(store.files.get('model.gguf')).toEqual(content)
    expect(asked).toHaveLength(11)
    expect(states).toEqual(['downloading', 'verifying'])
    expect(await download()).toBe(false)
    expect(asked).toHaveLength(11)
  })

  test('goes on where it was stopped', async () => {
    await stopAt(4 * PIECE)
    expect([...store.files.keys()].sort()).toEqual([DATA, JOURNAL])
    asked.length = 0
    let kept = 0
    await download(undefined, (count, isKept) => (kept += isKept ? count : 0))
    expect(kept).toBeGreaterThanOrEqual(4 * PIECE)
    expect(askedBytes()).toBe(SIZE - kept)
    expect(store.files.get('model.gguf')).toEqual(content)
  })

  test('comes whole through every fault of a server, a part of it only once', async () => {
    const faults: Answer[] = [
      (range) => cut(range, 300),
      () => new Response(null, { status: 503, headers: { 'Retry-After': '0' } }),
      (range) => part(range, range.start + 5),
      () => {
        throw new TypeError('fetch failed')
      },
    ]
    answer = (range) => faults.shift()?.(range, 0)
    await download()
    expect(store.files.get('model.gguf')).toEqual(content)
    expect(asked).toHaveLength(11 + 4)
    expect(askedBytes()).toBe(SIZE + 3 * PIECE + PIECE - 300)
  })

  test('is fetched anew when what came is not its content', async () => {
    answer = (range, count) => {
      if (count > 1) return undefined
      const headers = part(range).headers
      return new Response(new Uint8Array(PIECE), { status: 206, headers })
    }
    await download()
    expect(store.files.get('model.gguf')).toEqual(content)
    expect(asked).toHaveLength(22)
  })

  test('is fetched by one of two who want it at the same time', async () => {
    expect(await Promise.all([download(), download()])).toEqual([true, false])
    expect(asked).toHaveLength(11)
    expect(states).toContain('waiting')
  })

  test('is not begun where it has no room', async () => {
    store.room = SIZE - 1
    await expect(download()).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(asked).toEqual([])
  })
})

describe('a journal', () => {
  const coverAll = (line: string) => (text: string) => `${text.split('\n')[0]}\n${line}\n`
  test.each([
    ['of another content', SIZE, (text: string) => text.replace(`"size":${SIZE}`, '"size":1')],
    ['with a run beyond the file', SIZE + 9, coverAll(`0 ${SIZE + 1}`)],
    ['with a run beyond what is stored', SIZE - 2, coverAll(`0 ${SIZE - 1}`)],
    ['with a run that holds nothing', SIZE, coverAll('5 0')],
    ['with a line that is none', SIZE, coverAll('0 1000 5')],
  ])('%s counts for nothing', async (_, stored, change) => {
    await stopAt(4 * PIECE)
    const text = change(new TextDecoder().decode(store.files.get(JOURNAL)))
    store.files.set(JOURNAL, new TextEncoder().encode(text))
    store.files.set(DATA, new Uint8Array(stored))
    asked.length = 0
    await download()
    expect(askedBytes()).toBe(SIZE)
    // A wrong one would be noticed in the end, too, after everything was fetched in vain.
    expect(states.filter((state) => state === 'verifying')).toHaveLength(1)
    expect(store.files.get('model.gguf')).toEqual(content)
  })

  test('loses a line that was cut off, and no other', async () => {
    await stopAt(4 * PIECE)
    const text = `${new TextDecoder().decode(store.files.get(JOURNAL)).split('\n')[0]}\n0 500\n500 10`
    store.files.set(JOURNAL, new TextEncoder().encode(text))
    store.files.set(DATA, content.slice(0, 600))
    asked.length = 0
    await download()
    expect(askedBytes()).toBe(SIZE - 500)
    expect(store.files.get('model.gguf')).toEqual(content)
  })
})

describe('a server', () => {
  test('that leads from https to http is not followed', async () => {
    const Location = 'http://hub.test/model.gguf'
    answer = () => new Response(null, { status: 302, headers: { Location } })
    await expect(download()).rejects.toThrow('as safe as itself')
  })

  test.each(['data:,model', 'file:///etc/hostname', 'ftp://hub.test/model.gguf', 'https://'])(
    'that leads to %s is not followed',
    async (Location) => {
      answer = () => new Response(null, { status: 302, headers: { Location } })
      await expect(download()).rejects.toThrow('as safe as itself')
    },
  )

  test('that leads in a circle is followed eight times', async () => {
    answer = () => new Response(null, { status: 302, headers: { Location: URL_OF_FILE } })
    await expect(download()).rejects.toThrow('more than 8 times')
    expect(asked.filter(({ start }) => start === 0).length).toBeLessThanOrEqual(9)
  })

  test.each([1, -1])('that sends a range which starts %i bytes off is not believed', async (by) => {
    answer = (range) => (range.start > 0 ? part(range, range.start + by) : undefined)
    const failed = download()
    await expect(failed).rejects.toThrow(DownloadError)
    await expect(failed).rejects.toThrow('sent the range')
  })

  test('that sends the whole of another file is not believed', async () => {
    const headers = { 'Content-Length': String(SIZE + 1) }
    answer = () => new Response(content, { headers })
    await expect(download()).rejects.toThrow('another content now')
    expect(store.files.has('model.gguf')).toBe(false)
  })

  test('that sends more than was asked for is not believed', async () => {
    answer = ({ start, end }) => (end < SIZE ? part({ start, end: end + 1 }) : undefined)
    await expect(download()).rejects.toThrow('sent the range')
  })

  test.each(['301', '7200'])(
    'that wants to be left alone for %s seconds is not waited for',
    async (seconds) => {
      answer = () => new Response(null, { status: 429, headers: { 'Retry-After': seconds } })
      await expect(download(AbortSignal.timeout(5000))).rejects.toThrow('429')
      expect(asked.length).toBeLessThanOrEqual(TUNING.connections)
    },
  )

  test('that wants to be left alone for five minutes is waited for', async () => {
    answer = () => new Response(null, { status: 429, headers: { 'Retry-After': '300' } })
    const waiting = download(AbortSignal.timeout(300))
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('that refuses is not asked again', async () => {
    answer = () => new Response(null, { status: 404 })
    await expect(download()).rejects.toThrow(RefusedError)
    expect(asked.length).toBeLessThanOrEqual(TUNING.connections)
  })
})

describe('what a server sends although it was not asked for', () => {
  const whole = (bytes: Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
    new Response(bytes, { status: 200, headers })

  test('a compressed answer counts by what it unpacks to, whatever length it states', async () => {
    // Whoever sends the request has unpacked it.
    answer = () => whole(content, { 'Content-Encoding': 'gzip', 'Content-Length': '99' })
    expect(await download()).toBe(true)
    expect(store.files.get('model.gguf')).toEqual(content)
  })

  test('compressed parts are of no use', async () => {
    answer = (range) => {
      const response = part(range)
      response.headers.set('Content-Encoding', 'br')
      return response
    }
    await expect(download()).rejects.toThrow('Content-Encoding: br')
    expect([...store.files.keys()]).toEqual([])
  })

  test('a remark about how a file was uploaded is no compression', async () => {
    answer = (range) => {
      const response = part(range)
      response.headers.set('Content-Encoding', 'aws-chunked')
      return response
    }
    expect(await download()).toBe(true)
  })

  test('a whole file that goes on is not cut to the expected size, unless a hash says that it is it', async () => {
    answer = () => whole(Uint8Array.of(...content, 1), {})
    const { hash: _, ...unknown } = WANTED
    await expect(download(undefined, undefined, unknown)).rejects.toBeInstanceOf(
      ContentChangedError,
    )
    expect([...store.files.keys()]).toEqual([])
    expect(await download()).toBe(true)
    expect(store.files.get('model.gguf')).toEqual(content)
  })
})

describe('what cannot be kept', () => {
  function failingAt(place: 'write' | 'journal', error: Error): void {
    const open = store.open.bind(store)
    store.open = async (name, access) => {
      const file = await open(name, access)
      const isFailing = name.endsWith(place === 'journal' ? '.journal' : '.incomplete')
      let writes = 0
      const write = async (bytes: Uint8Array, offset: number): Promise<void> => {
        if (isFailing && access === 'write' && ++writes > 2) throw error
        await file.write(bytes, offset)
      }
      return { ...file, write }
    }
  }

  test.each(['write', 'journal'] as const)('ends a download at once: %s', async (place) => {
    failingAt(place, new Error('ENOSPC: no space left on device'))
    await expect(download()).rejects.toThrow('could not be kept: ENOSPC')
    // One request for each connection that was under way, and none again.
    expect(asked.length).toBeLessThanOrEqual(2 + 2 * TUNING.connections)
    expect(store.files.has('model.gguf')).toBe(false)
  })

  test('is said in the words of the store where it has any', async () => {
    failingAt('write', new BitnetError('DISK_FULL', 'There is no space left.'))
    await expect(download()).rejects.toMatchObject({ code: 'DISK_FULL' })
  })

  test('leaves nothing where nothing came', async () => {
    store.room = 10
    await expect(download()).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect([...store.files.keys()]).toEqual([])
  })
})
