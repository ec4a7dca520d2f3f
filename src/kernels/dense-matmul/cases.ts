/** Cases of dense-matmul: each type at the edges of a stripe and at a slice of 2B-4T's head. */
import type { DenseType } from '../storage.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../testing/conformance-cases.ts'
import { packDense } from './layout.ts'
import { MAX_INT8_COLS } from './reference.ts'

interface Shape {
  readonly type: DenseType
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly accumulate?: boolean
  /** Size of the weights and of the activations. */
  readonly weight?: number
  readonly x?: number
  /** All weights and activations (almost) at these sizes instead of up to them. */
  readonly constant?: boolean
  readonly wholeInput?: boolean
}

function denseCase(shape: Shape): KernelCase {
  const { type, rows, cols, tokens, accumulate = false, weight = 0.1, x = 4 } = shape
  const constant = shape.constant ?? false
  const { wholeInput } = shape
  const marks = (accumulate ? ', added' : '') + (wholeInput ? ', kept whole' : '')
  const sizes = `weights ${constant ? 'of' : 'to'} ${weight}, x ${constant ? 'of' : 'to'} ${x}`
  return {
    name: `${type} ${rows} x ${cols}, ${tokens} tokens, ${sizes}${marks}`,
    weights: rows * cols,
    create() {
      const seeded = new Seeded(rows * 5 + cols * 3 + tokens)
      const values = seeded.floats(rows * cols, weight)
      const input = seeded.floats(tokens * cols, x)
      if (constant) {
        values.fill(weight)
        // int8 sums beyond 2^24, where float32 rounds them: how a value is split shows.
        input.set(input.map((_, i) => x * (1 - (i % 7) / 1000)))
      }
      const packed = packDense(type, values, rows, cols)
      return {
        contents: {
          data: packed.data,
          scales: packed.scales ?? new Float32Array(0),
          x: input,
          out: seeded.floats(tokens * rows),
        },
        command: (b) => ({
          op: 'dense-matmul',
          rows: tokens,
          weights: {
            type,
            rows,
            cols,
            data: b['data'],
            scales: type === 'int8' ? b['scales'] : undefined,
          },
          x: b['x'],
          out: b['out'],
          accumulate,
          wholeInput,
        }),
      }
    },
  }
}

const types: readonly DenseType[] = ['f32', 'f16', 'int8']
const { dim, vocabSlice } = bitnet2b4t

export const cases: readonly KernelCase[] = [
  ...types.flatMap((type) => [
    ...[1, 15, 16, 17, 33].flatMap((rows) =>
      [1, 3, 4, 5, 16, 65].map((cols) => denseCase({ type, rows, cols, tokens: 1 })),
    ),
    ...[2, 3, 17].flatMap((tokens) => [
      denseCase({ type, rows: 17, cols: 15, tokens, accumulate: true }),
      denseCase({ type, rows: 49, cols: 66, tokens }),
    ]),
    ...[4, 5, 6, 7, 8, 9].map((tokens) => denseCase({ type, rows: 49, cols: 66, tokens })),
    denseCase({ type, rows: vocabSlice, cols: dim, tokens: 1 }),
    denseCase({ type, rows: vocabSlice + 1, cols: dim, tokens: 1 }),
    denseCase({ type, rows: 1000, cols: dim, tokens: 3, accumulate: true }),
    denseCase({ type, rows: 640, cols: dim, tokens: 17 }),
    denseCase({ type, rows: 19, cols: 70, tokens: 2, weight: 1e-6, x: 1e-9 }),
    denseCase({ type, rows: 19, cols: 70, tokens: 2, weight: 1e-6, x: 0 }),
    denseCase({ type, rows: 19, cols: 70, tokens: 2, weight: 0, x: 1e4 }),
    denseCase({ type, rows: 19, cols: 6912, tokens: 3, weight: 0.7, x: 13, constant: true }),
    denseCase({ type, rows: 19, cols: 6912, tokens: 3, weight: -0.7, x: 13, constant: true }),
    denseCase({ type, rows: 19, cols: 6912, tokens: 3, weight: -0.7, x: -13, constant: true }),
  ]),
  ...[1, 3, 9, 17].map((tokens) =>
    denseCase({ type: 'f16', rows: 49, cols: 66, tokens, wholeInput: true }),
  ),
  denseCase({ type: 'f16', rows: 640, cols: dim, tokens: 17, wholeInput: true }),
  // Halves that are infinite, where kernels take them for finite at first.
  ...[1, 5].map((tokens) =>
    denseCase({ type: 'f16', rows: 70, cols: 9, tokens, weight: 7e4, constant: true }),
  ),
  // Activations around 2^112, from which on they are infinite beside halves.
  denseCase({ type: 'f16', rows: 70, cols: 2, tokens: 9, x: 1.002 * 2 ** 112, constant: true }),
  // The largest integer sums, of either sign.
  ...[13, -13].map((x) =>
    denseCase({
      type: 'int8',
      rows: 9,
      cols: MAX_INT8_COLS,
      tokens: 3,
      weight: 0.7,
      x,
      constant: true,
    }),
  ),
]
