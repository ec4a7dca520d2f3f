// The stream between a generation and its reader: queueing, cancelling, errors.
import { describe, expect, test } from 'vitest'
import { UsageError } from '../errors.ts'
import { GenerationStream } from './generation-stream.ts'
import type { GenerateResult } from './options.ts'

const done = { text: 'done' } as GenerateResult

async function read(stream: AsyncIterable<string>): Promise<string[]> {
  const pieces: string[] = []
  for await (const piece of stream) pieces.push(piece)
  return pieces
}

describe('GenerationStream', () => {
  test('runs to its end although nobody reads, and can be read afterwards', async () => {
    const stream = new GenerationStream({}, async ({ emit }) => {
      for (const text of ['a', '', 'b']) emit(text)
      return done
    })
    expect(await stream.result).toBe(done)
    expect(await read(stream)).toEqual(['a', 'b'])
  })

  test('gives pieces as they come', async () => {
    let resume = () => {}
    const stream = new GenerationStream({}, async ({ emit }) => {
      emit('first')
      await new Promise<void>((resolve) => (resume = resolve))
      emit('second')
      return done
    })
    const pieces = stream[Symbol.asyncIterator]()
    expect(await pieces.next()).toEqual({ done: false, value: 'first' })
    const second = pieces.next()
    resume()
    expect(await second).toEqual({ done: false, value: 'second' })
    expect(await pieces.next()).toEqual({ done: true, value: undefined })
  })

  test('is cancelled when the reader breaks off', async () => {
    const stream = new GenerationStream({}, async ({ emit, signal }) => {
      while (!signal.aborted) {
        emit('x')
        await Promise.resolve()
      }
      return done
    })
    for await (const piece of stream) {
      expect(piece).toBe('x')
      break
    }
    expect(await stream.result).toBe(done)
    expect(await read(stream)).toEqual([])
  })

  test('ends a read that waits when the reading is broken off', async () => {
    const stream = new GenerationStream({}, () => new Promise<GenerateResult>(() => {}))
    const pieces = stream[Symbol.asyncIterator]()
    const waiting = pieces.next()
    await pieces.return?.()
    expect((await waiting).done).toBe(true)
  })

  test('hands an error to the reader after the text, and to the result', async () => {
    const stream = new GenerationStream({}, async ({ emit }) => {
      emit('so far')
      throw new Error('broken')
    })
    const pieces = stream[Symbol.asyncIterator]()
    expect((await pieces.next()).value).toBe('so far')
    await expect(pieces.next()).rejects.toThrow('broken')
    expect((await pieces.next()).done).toBe(true)
    await expect(stream.result).rejects.toThrow('broken')
  })

  test('leaves no rejection unhandled when only one of result and reader is used', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      const fail = async () => Promise.reject(new Error('broken'))
      await expect(new GenerationStream({}, fail).result).rejects.toThrow('broken')
      await expect(read(new GenerationStream({}, fail))).rejects.toThrow('broken')
      new GenerationStream({}, fail).cancel()
      await new Promise((resolve) => setTimeout(resolve, 5))
    } finally {
      process.off('unhandledRejection', note)
    }
    expect(unhandled).toEqual([])
  })

  test('rejects options out of range without starting the work', async () => {
    let started = false
    const stream = new GenerationStream({ topK: -1 }, async () => {
      started = true
      return done
    })
    await expect(stream.result).rejects.toThrow(UsageError)
    expect(started).toBe(false)
  })

  test("passes on the caller's signal, also one that has aborted already", async () => {
    const run = (signal: AbortSignal) =>
      new GenerationStream({ signal }, async (scope) => ({
        ...done,
        text: String(scope.signal.aborted),
      })).result
    expect((await run(AbortSignal.abort())).text).toBe('true')
    expect((await run(new AbortController().signal)).text).toBe('false')
  })
})
