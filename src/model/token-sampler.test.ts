/** Tokens that a decoder draws, against the operations' references on the logits it gives. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { drawTokens } from '../../test/support/draw-tokens.ts'
import { ALL_TOKENS } from '../../test/support/mock-model.ts'
import { type OwnSequences, sequencesOf } from '../../test/support/sequences.ts'
import { smallModel } from '../../test/support/small-model.ts'
import type { Backend } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { BackendError, UsageError } from '../errors.ts'
import { readConfig } from './config/read-config.ts'
import { Decoder } from './decoder.ts'
import type { RowBatch } from './engine.ts'
import type { DrawnTokens, DrawSettings, TokenDraw } from './token-draw.ts'
import { loadWeights } from './weights/load-weights.ts'

const file = smallModel()
const config = readConfig(file)
const VOCAB = config.vocabSize
const IDS = [3, 28, 0, 17, 17, 5, 9, 22, 1, 14, 2, 11]

let backend: Backend

beforeEach(() => {
  backend = createReferenceBackend()
})

afterEach(() => backend.dispose())

async function open(): Promise<{ decoder: Decoder; cache: OwnSequences }> {
  const decoder = new Decoder(backend, config, await loadWeights(backend, file, config))
  return { decoder, cache: sequencesOf(decoder, { slots: 2, capacity: 64 }) }
}

/** A pass of the sequence in slot 1, whose tokens up to `from` were fed before. */
function batch(ids: readonly number[], from: number): Omit<RowBatch, 'logitRows'> {
  return {
    tokens: ids,
    slots: ids.map(() => 1),
    positions: ids.map((_, i) => from + i),
  }
}

async function drawn(
  { decoder, cache }: { decoder: Decoder; cache: OwnSequences },
  pass: Omit<RowBatch, 'logitRows'>,
  rows: readonly number[],
  each: readonly TokenDraw[],
  likeliest?: number,
): Promise<DrawnTokens> {
  const scores = { rows: [], targets: [], tokens: [] }
  const wants = { draws: { rows, each, likeliest }, scores, vectors: [] }
  return (await decoder.step(cache.place(pass), wants)).tokens
}

async function logitsOf(
  { decoder, cache }: { decoder: Decoder; cache: OwnSequences },
  pass: Omit<RowBatch, 'logitRows'>,
  logitRows: readonly number[],
): Promise<Float32Array> {
  return (await decoder.forward(cache.place({ ...pass, logitRows }))).slice()
}

function draw(settings: Partial<DrawSettings>, more: Partial<TokenDraw> = {}): TokenDraw {
  return { settings: { ...ALL_TOKENS, ...settings }, seed: 2 ** 40 + 3, answerStart: 8, ...more }
}

const even = new Uint32Array(Math.ceil(VOCAB / 32)).fill(0x55555555)

test('settings are written once for steps that draw alike, and again where a row draws otherwise', async () => {
  const own = await open()
  const draws = [draw({ topK: 1 }, { biases: new Map([[9, 100]]) })]
  const other = [draw({ topK: 1 }, { biases: new Map([[11, 100]]) })]
  const written: string[] = []
  const write = backend.write.bind(backend)
  backend.write = (slice, byteOffset, bytes) => {
    written.push(slice.label)
    write(slice, byteOffset, bytes)
  }
  const ids: number[] = []
  const counts: number[] = []
  for (const [step, each] of [draws, draws, other, draws].entries()) {
    written.length = 0
    ids.push(...(await drawn(own, batch([IDS[step]], step), [0], each)).ids)
    counts.push(written.filter((label) => label === 'penalties and biases').length)
  }
  expect(ids).toEqual([9, 9, 11, 9])
  expect(counts).toEqual([1, 0, 1, 1])
})

describe('tokens', () => {
  const draws: readonly TokenDraw[] = [
    draw({ temperature: 0 }),
    draw({ temperature: 0, repetitionPenalty: 1e6 }),
    draw({ frequencyPenalty: 9, presencePenalty: 2, temperature: 0.2 }),
    draw({ topK: 3 }, { seed: 7, sequence: 2 }),
    draw({ topP: 0.5 }, { biases: new Map([[4, 30]]) }),
    draw({ minP: 0.4 }, { allowed: even }),
    draw(
      {},
      {
        biases: new Map([
          [1, -50],
          [2, 9.5],
          [28, 9],
        ]),
        allowed: even,
      },
    ),
  ]

  test('are what the references draw from the logits, each row by its own settings', async () => {
    const engine = await open()
    for (let from = 0; from < 40; from += 10) {
      const ids = Array.from({ length: 10 }, (_, i) => IDS[(from + i) % IDS.length])
      const rows = [3, 4, 5, 6, 7, 8, 9]
      const logits = await logitsOf(engine, batch(ids, from), rows)
      const fed = Array.from({ length: from + 10 }, (_, i) => IDS[i % IDS.length])
      for (const likeliest of [undefined, 0, 4]) {
        const got = await drawn(engine, batch(ids, from), rows, draws, likeliest)
        const expected = drawTokens(
          rows.map((row, i) => ({
            logits: logits.subarray(i * VOCAB, (i + 1) * VOCAB),
            tokens: fed.slice(0, from + row + 1),
            draw: draws[i],
          })),
          likeliest,
        )
        expect(got).toEqual(expected)
      }
    }
  })

  test('are the same however rows are put together, and whatever was drawn before', async () => {
    const engine = await open()
    const rows = IDS.map((_, i) => i)
    const all = rows.map((row) => draws[row % draws.length])
    const together = await drawn(engine, batch(IDS, 0), rows, all, 3)
    for (const row of rows.toReversed()) {
      const alone = await drawn(engine, batch([IDS[row]], row), [0], [all[row]], 3)
      expect([...alone.ids]).toEqual([together.ids[row]])
      expect(alone.odds).toEqual([together.odds?.[row]])
    }
  })

  test('obey a bias and a mask, and stay apart by seed and by sequence', async () => {
    const engine = await open()
    const one = async (own: TokenDraw) => (await drawn(engine, batch([3], 0), [0], [own])).ids[0]
    expect(await one(draw({}, { biases: new Map([[9, 1000]]) }))).toBe(9)
    const only = new Uint32Array(even.length)
    only[0] = 1 << 13
    expect(await one(draw({}, { allowed: only }))).toBe(13)
    const seen = new Set<number>()
    for (let i = 0; i < 40; i++) seen.add(await one(draw({ temperature: 50 }, { sequence: i })))
    for (let i = 0; i < 40; i++)
      seen.add(await one(draw({ temperature: 50 }, { seed: i * 2 ** 33 })))
    expect(seen.size).toBeGreaterThan(VOCAB / 2)
  })

  test('are none where none is allowed, and none are drawn of a part of a prompt', async () => {
    const engine = await open()
    const nothing = draw({}, { allowed: new Uint32Array(even.length) })
    expect((await drawn(engine, batch([1, 2], 0), [], [])).ids).toHaveLength(0)
    expect([...(await drawn(engine, batch([1], 2), [0], [nothing])).ids]).toEqual([-1])
    await expect(drawn(engine, batch([1], 2), [0], [])).rejects.toThrow(UsageError)
  })

  test('come again after there was no memory for what a row asks', async () => {
    const engine = await open()
    const plain = draw({ temperature: 0 })
    const before = [...(await drawn(engine, batch([3], 0), [0], [plain])).ids]
    const allocate = backend.allocate.bind(backend)
    backend.allocate = (byteLength, label, use) => {
      if (label === 'adjusted logits') throw new BackendError('No room.')
      return allocate(byteLength, label, use)
    }
    const biased = draw({}, { biases: new Map([[9, 1000]]) })
    await expect(drawn(engine, batch([3], 0), [0], [biased])).rejects.toThrow('No room.')
    expect([...(await drawn(engine, batch([3], 0), [0], [plain])).ids]).toEqual(before)
    backend.allocate = allocate
    expect([...(await drawn(engine, batch([3], 0), [0], [biased])).ids]).toEqual([9])
  })
})
