/** Cases of adjust-logits: each part alone and all together, logits of both signs, tokens that repeat. */
import { type KernelCase, Seeded, stale, stepWords } from '../testing/conformance-cases.ts'
import { PENALTY_FLOATS } from './reference.ts'

interface Shape {
  readonly rows: number
  readonly cols: number
  readonly biasCount?: number
  /** Of each row: repetition, presence, frequency, and the position at which its answer begins. */
  readonly penalties?: readonly (readonly [number, number, number, number])[]
  readonly positions?: number
  readonly mask?: boolean
  readonly magnitude?: number
}

const CAPACITY = 700

function adjustCase(own: Shape): KernelCase {
  const { rows, cols, biasCount, penalties, positions = 40, mask = false, magnitude = 8 } = own
  const parts = [
    biasCount && `${biasCount} biases`,
    penalties && `penalties over ${positions}`,
    mask && 'a mask',
  ]
  return {
    name: `${rows} x ${cols}, magnitude ${magnitude}, ${parts.filter(Boolean).join(', ')}`,
    create() {
      const random = new Seeded(rows * cols)
      const logits = random.floats(rows * cols, magnitude)
      const entries = Array.from({ length: rows + 1 }, (_, i) => ({
        slot: (i + 1) % 3,
        position: Math.max(0, positions - 1 - i),
      }))
      // The tokens that have a bias are one after another, from another one on in each row.
      const biasTokens = Int32Array.from({ length: rows * (biasCount ?? 0) }, (_, i) => {
        return (i * 7 + Math.floor(i / (biasCount ?? 1))) % cols
      })
      const stride = PENALTY_FLOATS + (biasCount ?? 1)
      const amounts = Float32Array.from({ length: rows * stride }, (_, i) => {
        const at = i % stride
        const own = penalties?.[Math.floor(i / stride) % penalties.length] ?? [1, 0, 0, 0]
        if (at < PENALTY_FLOATS) return own[at]
        return i % 4 === 3 ? 0 : random.floats(1, 20)[0]
      })
      const words = rows * Math.ceil(cols / 32)
      return {
        contents: {
          logits,
          step: stepWords(entries),
          index: Int32Array.from({ length: rows }, (_, row) => rows - row),
          amounts,
          ...(biasCount && { biasTokens }),
          ...(penalties && {
            history: Int32Array.from({ length: 3 * CAPACITY }, () => random.below(cols)),
          }),
          ...(mask && { mask: Int32Array.from({ length: words }, () => random.word() | 0) }),
          out: stale(rows * cols),
        },
        command: (buffers) => ({
          op: 'adjust-logits',
          rows,
          cols,
          logits: buffers['logits'],
          step: buffers['step'],
          index: buffers['index'],
          biasCount: biasCount ?? 1,
          amounts: buffers['amounts'],
          biasTokens: biasCount ? buffers['biasTokens'] : undefined,
          capacity: CAPACITY,
          history: penalties && buffers['history'],
          mask: mask ? buffers['mask'] : undefined,
          out: buffers['out'],
        }),
      }
    },
  }
}

const PENALTIES = [
  [1.3, 0, 0, 0],
  [1, 0, 0, 0],
  [1, 0.5, 0, 20],
  [1, 0, -0.25, 5],
  [1.1, 0.7, 0.3, 30],
  [0.9, -1, 1e30, 699],
] as const

export const cases: readonly KernelCase[] = [
  ...[1, 31, 32, 33, 100].map((cols) => adjustCase({ rows: 2, cols, mask: true })),
  adjustCase({ rows: 1, cols: 50, biasCount: 1 }),
  adjustCase({ rows: 3, cols: 97, biasCount: 9 }),
  ...[1, 2, 17, 700].map((positions) =>
    adjustCase({ rows: 6, cols: 61, penalties: PENALTIES, positions }),
  ),
  adjustCase({ rows: 6, cols: 61, penalties: PENALTIES, magnitude: 0 }),
  adjustCase({
    rows: 7,
    cols: 1003,
    penalties: PENALTIES,
    biasCount: 5,
    mask: true,
    positions: 300,
  }),
  adjustCase({
    rows: 2,
    cols: 128_256,
    penalties: PENALTIES,
    biasCount: 300,
    mask: true,
    positions: 700,
  }),
]
