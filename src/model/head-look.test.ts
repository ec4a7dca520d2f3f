/** Draws without all logits, beside draws from all of them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { drawTokens } from '../../test/support/draw-tokens.ts'
import { ALL_TOKENS } from '../../test/support/mock-model.ts'
import { sequencesOf } from '../../test/support/sequences.ts'
import { smallModel } from '../../test/support/small-model.ts'
import type { Backend } from '../backends/backend.ts'
import { nativeVariants, openNativeBackend } from '../backends/native/native-backend.ts'
import { readConfig } from './config/read-config.ts'
import { Decoder } from './decoder.ts'
import type { DrawSettings, TokenDraw } from './token-draw.ts'
import { loadWeights } from './weights/load-weights.ts'

const file = smallModel()
const config = readConfig(file)
const VOCAB = config.vocabSize
const isa = 'x86-avx512vnni'
const runsHere = nativeVariants().some((variant) => variant.isa === isa && variant.supported)

function draw(settings: Partial<DrawSettings>, more: Partial<TokenDraw> = {}): TokenDraw {
  return { settings: { ...ALL_TOKENS, ...settings }, seed: 2 ** 40 + 3, answerStart: 3, ...more }
}

const even = new Uint32Array(1).fill(0x55555555)
const draws: readonly TokenDraw[] = [
  draw({ temperature: 0 }),
  draw({ temperature: 0, repetitionPenalty: 1e6 }),
  draw({ frequencyPenalty: 0.5, presencePenalty: 0.2, temperature: 0.2 }),
  draw({ topK: 5, topP: 0.9, repetitionPenalty: 1.1 }, { seed: 7, sequence: 2 }),
  draw({ topK: 40 }, { biases: new Map([[4, 3]]) }),
  draw({ minP: 0.1 }, { allowed: even }),
  draw({ topK: 3, temperature: 0.7 }),
  draw({}, { biases: new Map([[28, Number.NEGATIVE_INFINITY]]), allowed: even }),
]

let backend: Backend
let recorded: string[]

beforeEach(() => {
  recorded = []
})

async function open(variant: string): Promise<Decoder> {
  backend = openNativeBackend({ isa: variant, threads: 2 })
  const record = backend.record.bind(backend)
  backend.record = (commands) => {
    recorded.push(...commands.map(({ op }) => op))
    return record(commands)
  }
  return new Decoder(backend, config, await loadWeights(backend, file, config, { head: 'f16' }))
}

afterEach(() => backend?.dispose())

describe.skipIf(!runsHere)('with a look at the head', () => {
  /** Draws behind each of the first tokens of a sequence; and what the references draw from all logits. */
  async function both(decoder: Decoder, each: readonly TokenDraw[], likeliest?: number) {
    const tokens = each.map((_, i) => (i * 11) % VOCAB)
    const rows = each.map((_, i) => i)
    const cache = sequencesOf(decoder, { slots: 1, capacity: 64 })
    const pass = () => cache.place({ tokens, slots: rows.map(() => 0), positions: rows })
    const scores = { rows: [], targets: [], tokens: [] }
    const wants = { draws: { rows, each, likeliest }, scores, vectors: [] }
    const got = [...(await decoder.step(pass(), wants)).tokens.ids]
    const logits = await decoder.forward({ ...pass(), logitRows: rows })
    const expected = drawTokens(
      rows.map((row) => ({
        logits: logits.slice(row * VOCAB, (row + 1) * VOCAB),
        tokens: tokens.slice(0, row + 1),
        draw: each[row],
      })),
      undefined,
    )
    return { got, expected: [...expected.ids] }
  }

  test('tokens are those of all logits, by all filters', async () => {
    const decoder = await open(isa)
    for (let round = 0; round < 6; round++) {
      const each = Array.from({ length: 24 }, (_, i) => draws[(i + round) % draws.length])
      const { got, expected } = await both(
        decoder,
        each.map((own) => ({ ...own, seed: own.seed + round })),
      )
      expect(got).toEqual(expected)
    }
    expect(recorded.filter((op) => op === 'look-weights')).toHaveLength(1)
    expect(recorded).toContain('head-draw')
    expect(recorded).not.toContain('sample')
  })

  test.each([
    ['few rows', draws.slice(0, 7), undefined],
    ['probabilities', draws, 2],
    ['top-p alone', draws.with(3, draw({ topP: 0.9 })), undefined],
    ['a large top-k', draws.with(3, draw({ topK: 257 })), undefined],
  ])('all logits are computed for %s', async (_, each, likeliest) => {
    const { got, expected } = await both(await open(isa), each, likeliest)
    expect(got).toEqual(expected)
    expect(recorded).toContain('sample')
    expect(recorded).not.toContain('head-draw')
  })
})

test('where int8 is not much faster than floats, all logits are computed', async () => {
  const decoder = await open('portable')
  const rows = draws.map((_, i) => i)
  const cache = sequencesOf(decoder, { slots: 1, capacity: 64 })
  const batch = cache.place({ tokens: rows, slots: rows.map(() => 0), positions: rows })
  const scores = { rows: [], targets: [], tokens: [] }
  await decoder.step(batch, { draws: { rows, each: draws }, scores, vectors: [] })
  expect(recorded).toContain('sample')
  expect(recorded).not.toContain('look-weights')
})
