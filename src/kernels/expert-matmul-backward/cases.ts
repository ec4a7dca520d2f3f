/** Cases of expert-matmul-backward: one expert and many, some without rows, sums longer than a block. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function backwardCase(count: number, cols: number, runs: readonly number[]): KernelCase {
  const chosen = runs.flatMap((rows, expert) => Array<number>(rows).fill(expert))
  const [rows, experts] = [chosen.length, runs.length]
  return {
    name: `${experts} experts of ${count} x ${cols}, ${runs.join(' + ')} rows`,
    create() {
      const seeded = new Seeded(cols * 3 + rows)
      return {
        contents: {
          x: seeded.floats(rows * cols),
          weights: seeded.floats(experts * count * cols),
          chosen: Int32Array.from(chosen),
          dOut: seeded.floats(rows * count),
          dx: stale(rows * cols),
          dWeights: seeded.floats(experts * count * cols),
        },
        command: (b) => ({
          op: 'expert-matmul-backward',
          ...{ rows, cols, count, experts },
          x: b['x'],
          weights: b['weights'],
          chosen: b['chosen'],
          dOut: b['dOut'],
          dx: b['dx'],
          dWeights: b['dWeights'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  backwardCase(1, 1, [1]),
  backwardCase(16, 33, [0, 1, 0, 1]),
  backwardCase(48, 79, [3, 0, 1, 9, 0, 2, 17, 1]),
  backwardCase(300, 40, [0, 300, 5]),
  backwardCase(97, 130, [100, 13]),
]
