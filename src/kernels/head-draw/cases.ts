/**
 * Cases of head-draw: logits that lie apart and such that no bound tells apart, every filter, changes by callers,
 * weights and inputs of every kind.
 */
import { PENALTY_FLOATS } from '../adjust-logits/reference.ts'
import { packDense } from '../dense-matmul/layout.ts'
import { boundFloats } from '../look-weights/op.ts'
import { lookWeights } from '../look-weights/reference.ts'
import { FILTERS, type RowSettings, settingWords } from '../sample/cases.ts'
import { type KernelCase, Seeded, stepWords } from '../testing/conformance-cases.ts'

interface Shape {
  readonly what: string
  /** The vocabulary, and columns. */
  readonly rows: number
  readonly cols: number
  readonly draws: readonly RowSettings[]
  readonly weight?: number
  readonly x?: number
  /** Changes weights, (rows, cols), and inputs, (draws, cols). */
  readonly shape?: (weights: Float32Array, x: Float32Array, random: Seeded) => void
  readonly biasCount?: number | undefined
  /** Of each row: repetition, presence, frequency, and the position at which its answer begins. */
  readonly penalties?: readonly (readonly [number, number, number, number])[]
  /** Share of the tokens that may be drawn. */
  readonly allowed?: number | undefined
  /** Unset: true. */
  readonly isLookedAt?: boolean
}

const CAPACITY = 300

export function headDrawCase(own: Shape): KernelCase {
  const { what, rows, cols, draws, weight = 0.1, x = 4, shape, biasCount, penalties, allowed } = own
  const { isLookedAt = true } = own
  const marks = [biasCount && 'biases', penalties && 'penalties', allowed && 'a mask']
  const also = marks.filter(Boolean).join(', ')
  return {
    name: `${rows} x ${cols}, ${draws.length} rows, ${what}${also && `, with ${also}`}`,
    weights: rows * cols,
    create() {
      const random = new Seeded(rows + cols * 7 + draws.length)
      const values = random.floats(rows * cols, weight)
      const inputs = random.floats(draws.length * cols, x)
      shape?.(values, inputs, random)
      const stride = PENALTY_FLOATS + (biasCount ?? 1)
      const amounts = Float32Array.from({ length: draws.length * stride }, (_, i) => {
        const at = i % stride
        if (at >= PENALTY_FLOATS) return i % 4 === 3 ? 0 : random.floats(1, 4)[0]
        return (penalties?.[Math.floor(i / stride) % penalties.length] ?? [1, 0, 0, 0])[at]
      })
      const packed = packDense('f16', values, rows, cols)
      const look = packDense('int8', new Float32Array(rows * cols), rows, cols)
      const bounds = new Float32Array(boundFloats(rows))
      lookWeights(look, bounds, packed)
      const isAllowed = () => Number(random.below(1000) < 1000 * (allowed ?? 1))
      const word = () =>
        Array.from({ length: 32 }, isAllowed).reduce((all, bit) => all * 2 + bit) | 0
      return {
        contents: {
          data: packed.data,
          look: look.data,
          scales: look.scales ?? bounds,
          bounds,
          x: inputs,
          settings: settingWords(draws),
          step: stepWords(
            Array.from({ length: draws.length + 1 }, (_, i) => ({
              slot: i % 3,
              position: random.below(CAPACITY),
            })),
          ),
          index: Int32Array.from(draws, (_, row) => draws.length - row),
          amounts,
          ...(biasCount && {
            biasTokens: Int32Array.from({ length: draws.length * biasCount }, (_, i) => {
              return (i * 7 + Math.floor(i / biasCount)) % rows
            }),
          }),
          ...(penalties && {
            history: Int32Array.from({ length: 3 * CAPACITY }, () => random.below(rows)),
          }),
          ...(allowed && {
            mask: Int32Array.from({ length: draws.length * Math.ceil(rows / 32) }, word),
          }),
          tokens: new Int32Array(draws.length).fill(-12345),
        },
        command: (b) => ({
          op: 'head-draw',
          rows: draws.length,
          weights: { type: 'f16', rows, cols, data: b['data'], scales: undefined },
          look: isLookedAt
            ? { type: 'int8', rows, cols, data: b['look'], scales: b['scales'] }
            : undefined,
          bounds: isLookedAt ? b['bounds'] : undefined,
          x: b['x'],
          settings: b['settings'],
          step: b['step'],
          index: b['index'],
          biasCount: biasCount ?? 1,
          amounts: b['amounts'],
          biasTokens: biasCount ? b['biasTokens'] : undefined,
          capacity: CAPACITY,
          history: penalties && b['history'],
          mask: allowed ? b['mask'] : undefined,
          tokens: b['tokens'],
        }),
      }
    },
  }
}

const PENALTIES = [
  [1.05, 0, 0, 0],
  [1, 0, 0, 0],
  [1, 0.5, 0, 20],
  [1.1, 0.7, 0.3, 200],
  [0.9, -1, -0.25, 100],
  [0.5, 1e30, 0, 299],
] as const

const COMMON: readonly RowSettings[] = [
  { topK: 40, topP: 0.9, temperature: 0.7 },
  { topK: 1 },
  {},
  { temperature: 0.8, widest: 3 },
  { topP: 0.9 },
]

/** Every weight and input times a power of two. */
function scaled(weightBy: number, xBy: number): NonNullable<Shape['shape']> {
  return (weights, x) => {
    for (let i = 0; i < weights.length; i++) weights[i] *= weightBy
    for (let i = 0; i < x.length; i++) x[i] *= xBy
  }
}

/** A row of weights, or of inputs, at random. */
function rowOf(values: Float32Array, cols: number, row: number): Float32Array {
  return values.subarray(row * cols, (row + 1) * cols)
}

export const cases: readonly KernelCase[] = [
  ...[1, 15, 16, 17, 33, 1000].flatMap((rows) =>
    [1, 4, 15, 66].map((cols) =>
      headDrawCase({ what: 'every filter', rows, cols, draws: FILTERS }),
    ),
  ),
  ...[1, 2, 7, 8, 9, 17, 64].map((count) =>
    headDrawCase({
      what: 'common draws',
      ...{ rows: 1003, cols: 130, biasCount: 5, penalties: PENALTIES },
      draws: Array.from({ length: count }, (_, i) => COMMON[i % COMMON.length]),
    }),
  ),
  headDrawCase({
    what: 'every filter',
    ...{ rows: 4099, cols: 512, draws: FILTERS, biasCount: 9, penalties: PENALTIES },
  }),
  ...[0.002, 0.3, 0.99].map((allowed) =>
    headDrawCase({
      what: `${allowed} of them allowed`,
      ...{ rows: 2050, cols: 66, draws: FILTERS, penalties: PENALTIES, allowed },
    }),
  ),
  headDrawCase({
    what: 'equal weights in groups',
    ...{ rows: 500, cols: 66, draws: FILTERS },
    shape: (weights) => {
      for (let row = 0; row < 500; row++) rowOf(weights, 66, row).set(rowOf(weights, 66, row % 7))
    },
  }),
  headDrawCase({
    what: 'weights that are one unit apart',
    ...{ rows: 500, cols: 66, draws: FILTERS },
    shape: (weights) => {
      for (let row = 0; row < 500; row++) {
        rowOf(weights, 66, row).set(rowOf(weights, 66, 0))
        rowOf(weights, 66, row)[row % 66] += (row % 5) * 2 ** -14
      }
    },
  }),
  headDrawCase({
    what: 'more tokens than are listed',
    ...{ rows: 3000, cols: 20, draws: [...COMMON, { topK: 256 }, { topK: 257 }] },
    shape: (weights, _, random) => {
      const first = weights.slice(0, 20)
      for (let row = 0; row < 3000; row++) {
        rowOf(weights, 20, row).set(first.map((w) => w + random.floats(1, 0.001)[0]))
      }
    },
  }),
  headDrawCase({
    what: 'few large inputs',
    ...{ rows: 900, cols: 100, draws: FILTERS },
    shape: (_, x) => {
      for (let i = 0; i < x.length; i += 37) x[i] *= 1000
    },
  }),
  headDrawCase({
    what: 'weights that are subnormal',
    ...{ rows: 300, cols: 40, draws: FILTERS },
    shape: scaled(2 ** -20, 2 ** 18),
  }),
  headDrawCase({
    what: 'the largest halves',
    ...{ rows: 300, cols: 40, draws: FILTERS, weight: 65000, x: 0.001 },
  }),
  ...[2 ** 45, 2 ** 110, 2 ** -45, 2 ** -110, 0].map((factor) =>
    headDrawCase({
      what: `inputs times ${factor}`,
      ...{ rows: 300, cols: 40, draws: COMMON },
      shape: scaled(1, factor),
    }),
  ),
  headDrawCase({
    what: 'without a look',
    ...{ rows: 1003, cols: 130, draws: FILTERS, isLookedAt: false },
    ...{ biasCount: 5, penalties: PENALTIES, allowed: 0.5 },
  }),
  headDrawCase({
    what: 'no weights',
    ...{ rows: 300, cols: 40, draws: COMMON },
    shape: scaled(0, 1),
  }),
  headDrawCase({
    what: 'tokens without weights',
    ...{ rows: 300, cols: 40, draws: FILTERS },
    shape: (weights) => {
      for (let row = 0; row < 300; row += 3) rowOf(weights, 40, row).fill(0)
    },
  }),
  headDrawCase({
    what: 'inputs that are no numbers',
    ...{ rows: 300, cols: 40, draws: [...COMMON, ...COMMON] },
    shape: (_, x) => {
      x[3] = Number.NaN
      x[40 + 39] = Infinity
      x[80] = -Infinity
    },
  }),
  ...[Infinity, -Infinity, Number.NaN].map((value) =>
    headDrawCase({
      what: `a weight of ${value}`,
      ...{ rows: 300, cols: 40, draws: FILTERS, penalties: PENALTIES, allowed: 0.9 },
      shape: (weights) => {
        weights[40 * 77 + 5] = value
      },
    }),
  ),
  headDrawCase({
    what: 'penalties out of the ordinary',
    ...{ rows: 300, cols: 40, draws: COMMON },
    penalties: [
      [-1, 0, 0, 0],
      [0, 0, 0, 0],
      [Infinity, 0, 0, 0],
      [1, Infinity, 0, 0],
      [1, -Infinity, Infinity, 0],
      [1e-40, 0, Number.NaN, 0],
    ],
  }),
]
