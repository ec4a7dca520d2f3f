/** Several tokens of each row drawn at once, against one at a time: the same tokens, and the same cache. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { smallModel } from '../../test/support/small-model.ts'
import type { Backend } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { UsageError } from '../errors.ts'
import { withSteps } from './check-batch.ts'
import { readConfig } from './config/read-config.ts'
import { Decoder } from './decoder.ts'
import type { PassWants } from './engine.ts'
import type { TokenDraw } from './token-draw.ts'
import { loadWeights } from './weights/load-weights.ts'

const file = smallModel()
const config = readConfig(file)
const STEPS = 12
const PROMPTS = [
  [3, 28, 0, 17],
  [5, 9, 22, 1, 14, 2, 11],
]

const settings = {
  temperature: 1,
  topK: 0,
  topP: 0.9,
  minP: 0,
  repetitionPenalty: 1.3,
  frequencyPenalty: 0.2,
  presencePenalty: 0.1,
}
const draws: readonly TokenDraw[] = [
  { settings, seed: 1, answerStart: 4 },
  { settings: { ...settings, temperature: 0 }, seed: 2, answerStart: 7 },
]

let backend: Backend

beforeEach(() => {
  backend = createReferenceBackend()
})

afterEach(() => backend.dispose())

async function open(maxSteps?: number): Promise<Decoder> {
  return new Decoder(backend, config, await loadWeights(backend, file, config), { maxSteps })
}

const wants = (each: readonly TokenDraw[], steps?: number, goesOn?: boolean): PassWants => ({
  draws: { rows: each.map((_, i) => i), each, steps, goesOn },
  scores: { rows: [], targets: [], tokens: [] },
  vectors: [],
})

/** The tokens of each prompt's sequence, drawn so many at a time. */
async function answers(
  decoder: Decoder,
  sizes: readonly number[],
  goesOn = false,
): Promise<number[][]> {
  const { cache } = decoder
  const sequences = PROMPTS.map((prompt) => [...prompt])
  const slots = PROMPTS.map((prompt) => cache.open(prompt, 64)?.slot ?? -1)
  for (const [i, prompt] of PROMPTS.entries()) {
    const before = prompt.slice(0, -1)
    const batch = {
      tokens: before,
      slots: before.map(() => slots[i]),
      positions: [...before.keys()],
    }
    await decoder.step(batch, wants([]))
  }
  for (const steps of sizes) {
    const batch = {
      tokens: sequences.map((own) => own[own.length - 1]),
      slots,
      positions: sequences.map((own) => own.length - 1),
    }
    const { tokens } = await decoder.step(batch, wants(draws, steps, goesOn))
    expect(tokens.ids).toHaveLength(PROMPTS.length * steps)
    for (const [i, id] of tokens.ids.entries()) sequences[i % PROMPTS.length].push(id)
  }
  for (const [i, slot] of slots.entries()) {
    expect(cache.computed(slot)).toEqual(sequences[i].slice(0, -1))
    cache.close(slot, sequences[i])
  }
  return sequences
}

describe('several steps at once', () => {
  test('draw what they draw one by one, however many they are', async () => {
    const alone = await open()
    expect(alone.maxSteps).toBe(1)
    const expected = await answers(alone, Array(STEPS).fill(1))
    alone.dispose()
    for (const sizes of [[12], [1, 4, 7], [6, 1, 5], [2, 2, 2, 6]]) {
      const several = await open(16)
      expect(await answers(several, sizes)).toEqual(expected)
      several.dispose()
    }
  })

  test('are computed ahead where they go on, and again where they go on otherwise', async () => {
    const alone = await open()
    const expected = await answers(alone, Array(STEPS).fill(1))
    alone.dispose()
    let submitted = 0
    const submit = backend.submit.bind(backend)
    backend.submit = (program) => {
      submitted++
      submit(program)
    }
    const count = async (sizes: readonly number[], goesOn: boolean) => {
      submitted = 0
      const several = await open(16)
      expect(await answers(several, sizes, goesOn)).toEqual(expected)
      several.dispose()
      return submitted
    }
    const plain = await count([4, 4, 4], false)
    // Two programs a step: four steps behind the last, and none twice.
    expect(await count([4, 4, 4], true)).toBe(plain + 8)
    expect(await count([4, 3, 5], true)).toBeGreaterThan(plain)
    expect(await count([4, 1, 1, 6], true)).toBeGreaterThan(plain)
  })

  test('leave nothing behind that another sequence could find', async () => {
    const decoder = await open(16)
    const { cache } = decoder
    const one = await answers(decoder, [4, 4, 4], true)
    // In its slot and its blocks, and with its beginning.
    expect(await answers(decoder, [12])).toEqual(one)
    decoder.dispose()
    expect(cache.stats.sequences).toBe(0)
  })

  test('say where there was nothing to draw from, and go on', async () => {
    const decoder = await open(4)
    const { cache } = decoder
    const slot = cache.open([1], 8)?.slot ?? -1
    const batch = { tokens: [1], slots: [slot], positions: [0] }
    const nothing = { ...draws[0], allowed: new Uint32Array(Math.ceil(config.vocabSize / 32)) }
    const { tokens } = await decoder.step(batch, wants([nothing], 3))
    expect([...tokens.ids]).toEqual([-1, -1, -1])
    expect(cache.computed(slot)).toEqual([1, 0, 0])
    decoder.dispose()
  })

  test('are refused where a row is not drawn for, or where they are too many', async () => {
    const decoder = await open(4)
    const { cache } = decoder
    const slot = cache.open([1, 2], 5)?.slot ?? -1
    const batch = { tokens: [1, 2], slots: [slot, slot], positions: [0, 1] }
    const each = [draws[0]]
    await expect(decoder.step(batch, wants(each, 2))).rejects.toThrow(UsageError)
    const one = { tokens: [1], slots: [slot], positions: [0] }
    await expect(decoder.step(one, wants(each, 5))).rejects.toThrow(/at most 4 steps/)
    const two = { tokens: [1, 2], slots: [slot, slot], positions: [0, 1] }
    await expect(decoder.step(two, wants([...each, ...each], 2))).rejects.toThrow(UsageError)
    // Behind the positions that it has room for.
    const late = { tokens: [3], slots: [slot], positions: [2] }
    await decoder.step(batch, wants([]))
    await expect(decoder.step(late, wants(each, 4))).rejects.toThrow(/below 5/)
    decoder.dispose()
  })

  test('are rows in the order of their sequences', () => {
    const batch = { tokens: [7, 8], slots: [3, 0], positions: [4, 0], logitRows: [0, 1] }
    const whole = withSteps(batch, 3, Int32Array.of(1, 2, -1, 4, 5, 6))
    expect(whole.tokens).toEqual([7, 1, 0, 8, 2, 4])
    expect(whole.slots).toEqual([3, 3, 3, 0, 0, 0])
    expect(whole.positions).toEqual([4, 5, 6, 0, 1, 2])
  })
})
