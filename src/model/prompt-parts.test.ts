/** Prompts in parts: how many rows a part has follows from what parts took, and no bit of a result does. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { sequencesOf } from '../../test/support/sequences.ts'
import { smallModel } from '../../test/support/small-model.ts'
import type { Backend, Program } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { readConfig } from './config/read-config.ts'
import { Decoder } from './decoder.ts'
import { PromptParts } from './prompt-parts.ts'
import { loadWeights } from './weights/load-weights.ts'

const rows = (count: number, logitRows = [count - 1]) => {
  const all = Array.from({ length: count }, (_, i) => i)
  return { tokens: all.map((i) => i % 29), slots: all.map(() => 0), positions: all, logitRows }
}

describe('parts', () => {
  let device = 0
  const parts = (name = `device ${device++}`) =>
    new PromptParts({ name, layers: 10, maxRows: 512, longestMs: 50 })

  test('begin small, grow as far as a device is quick enough, and shrink again', () => {
    const own = parts()
    expect(own.ahead(rows(512))).toBe(64)
    // A layer takes 1 ms: 50 times as many would fit, which nobody tries at once.
    own.took(64, 10)
    expect(own.ahead(rows(512))).toBe(0)
    // A layer takes 80 ms, where 50 are allowed.
    own.took(512, 800)
    expect(own.ahead(rows(512))).toBe(256)
    own.took(256, 400)
    expect(own.ahead(rows(512))).toBe(256)
    // However slow it is: fewer rows would read all weights for hardly less.
    own.took(256, 1e6)
    expect(own.ahead(rows(512))).toBe(32)
    own.took(32, 1e6)
    expect(own.ahead(rows(512))).toBe(32)
  })

  test('hold between half and all of what would fit, so that recordings are used again', () => {
    const own = parts()
    own.took(64, 250)
    own.took(64, 499)
    own.took(64, 251)
    expect(own.ahead(rows(512))).toBe(64)
    own.took(64, 501)
    expect(own.ahead(rows(512))).toBe(32)
  })

  test('are kept for the next model of that shape on the device', () => {
    const name = `device ${device++}`
    parts(name).took(64, 125)
    expect(parts(name).ahead(rows(512))).toBe(256)
    expect(parts().ahead(rows(512))).toBe(64)
  })

  test('say nothing of decoding, and take a clock that stands still', () => {
    const own = parts()
    own.took(1, 1e6)
    own.took(31, 1e6)
    expect(own.ahead(rows(512))).toBe(64)
    own.took(64, 0)
    expect(own.ahead(rows(512))).toBe(0)
  })

  test('end before the first row of which anything is wanted', () => {
    const own = parts()
    expect(own.ahead(rows(64))).toBe(0)
    expect(own.ahead(rows(100, [40, 99]))).toBe(40)
    expect(own.ahead(rows(100, [3, 99]))).toBe(0)
    expect(own.ahead(rows(100, []))).toBe(64)
    expect(own.ahead(rows(65, []))).toBe(64)
  })
})

describe('a decoder on a slow device', () => {
  const file = smallModel({ config: { max_position_embeddings: 512 } })
  const config = readConfig(file)
  let backend: Backend
  /** Rows of the passes that ran. */
  let passes: number[] = []
  let now = 0

  /** A device on which a row of a layer takes so long. */
  async function open(msPerRow: number | undefined): Promise<Decoder> {
    backend = createReferenceBackend()
    const { record, submit } = backend
    const counts = new WeakMap<Program, number>()
    backend.record = async (commands) => {
      const program = await record.call(backend, commands)
      const [first] = commands
      if ('rows' in first) counts.set(program, first.rows)
      return program
    }
    backend.submit = (program) => {
      const count = counts.get(program) ?? 0
      passes.push(count)
      now += count * (msPerRow ?? 0) * config.nLayers
      submit.call(backend, program)
    }
    Object.defineProperty(backend, 'description', { value: `slow: ${msPerRow}` })
    Object.defineProperty(backend, 'longestMs', { value: msPerRow && 50 })
    const weights = await loadWeights(backend, file, config)
    passes = []
    return new Decoder(backend, config, weights, { maxRows: 512 })
  }

  beforeEach(() => {
    vi.spyOn(performance, 'now').mockImplementation(() => now)
  })
  afterEach(() => backend.dispose())
  afterEach(() => vi.restoreAllMocks())

  async function run(decoder: Decoder, count: number, from: number): Promise<number[]> {
    const cache = sequencesOf(decoder, { slots: 1, capacity: 300 })
    const all = rows(count)
    const first = { ...rows(from), logitRows: [] }
    if (from > 0) await decoder.forward(cache.place(first))
    const [tokens, slots, positions] = [all.tokens, all.slots, all.positions].map((own) => {
      return own.slice(from)
    })
    const rest = { tokens, slots, positions, logitRows: [count - from - 1] }
    return [...(await decoder.forward(cache.place(rest)))]
  }

  test('gives the bits of one that runs a prompt at once', async () => {
    const whole = await run(await open(undefined), 290, 0)
    expect(passes).toEqual([290])
    await backend.dispose()
    const slow = await open(0.7)
    expect(await run(slow, 290, 0)).toEqual(whole)
    expect(passes).toEqual([64, 64, 64, 64, 34])
    await backend.dispose()
    expect(await run(await open(0.3), 290, 70)).toEqual(whole)
    expect(passes).toEqual([64, 6, 128, 92])
  })
})
