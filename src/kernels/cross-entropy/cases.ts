/** Cases of cross-entropy: lanes that fill unevenly, rows that do not count, far logits. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function lossCase(rows: number, cols: number, magnitude = 8, accumulate = false): KernelCase {
  return {
    name: `${rows} x ${cols}, magnitude ${magnitude}${accumulate ? ', added' : ''}`,
    create() {
      const seeded = new Seeded(rows * cols)
      const weights = seeded.positive(rows, 0.1)
      if (rows > 2) weights[1] = 0
      return {
        contents: {
          logits: seeded.floats(rows * cols, magnitude),
          targets: Int32Array.from({ length: rows }, () => seeded.below(cols)),
          weights,
          losses: accumulate ? seeded.floats(rows) : stale(rows),
        },
        command: ({ logits, targets, weights, losses }) => ({
          op: 'cross-entropy',
          rows,
          cols,
          logits,
          targets,
          weights,
          losses,
          accumulate,
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 2, 15, 16, 17, 33].map((cols) => lossCase(3, cols)),
  lossCase(9, 700, 8, true),
  lossCase(2, 100, 200),
  lossCase(2, 40, 0),
]
