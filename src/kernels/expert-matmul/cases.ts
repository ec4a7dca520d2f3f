/** Cases of expert-matmul: one expert and many, some without rows, both layouts, runs as long as any kernel's block. */
import { packBase3 } from '../../ternary/index.ts'
import type { TernaryPacking } from '../storage.ts'
import { type KernelCase, quantizedRows, Seeded, stale } from '../testing/conformance-cases.ts'

interface Shape {
  readonly experts: number
  /** Rows of each expert's matrix. */
  readonly count: number
  readonly cols: number
  /** Rows that go to each. */
  readonly runs: readonly number[]
  readonly packing?: TernaryPacking
}

function expertCase({ experts, count, cols, runs, packing = '2bit' }: Shape): KernelCase {
  const chosen = runs.flatMap((rows, expert) => Array<number>(rows).fill(expert))
  const rows = chosen.length
  return {
    name: `${packing}, ${experts} experts of ${count} x ${cols}, ${runs.join(' + ')} rows`,
    weights: experts * count * cols,
    create() {
      const seeded = new Seeded(cols * 3 + rows)
      const all = experts * count
      const codes = seeded.codes(all * cols)
      const weights = seeded.ternary(all, cols, codes)
      const data = packing === 'base3' ? packBase3(codes, all, cols).bytes : weights.bytes
      const x = quantizedRows(seeded.int8(rows * cols), seeded.positive(rows, 0.1), rows, cols)
      return {
        contents: {
          data,
          weightScales: weights.scales,
          q: x.q,
          scales: x.scales,
          sums: x.sums,
          chosen: Int32Array.from(chosen),
          out: stale(rows * count),
        },
        command: (b) => ({
          op: 'expert-matmul',
          rows,
          experts,
          weights: { packing, rows: all, cols, data: b['data'], scales: b['weightScales'] },
          x: { q: b['q'], scales: b['scales'], sums: b['sums'] },
          chosen: b['chosen'],
          out: b['out'],
        }),
      }
    },
  }
}

const shapes: readonly Shape[] = [
  { experts: 1, count: 16, cols: 1, runs: [1] },
  { experts: 4, count: 16, cols: 33, runs: [0, 1, 0, 1] },
  { experts: 8, count: 48, cols: 79, runs: [3, 0, 1, 9, 0, 2, 17, 1] },
  { experts: 3, count: 80, cols: 256, runs: [0, 64, 5] },
  { experts: 16, count: 32, cols: 96, runs: [...Array(15).fill(0), 1] },
  // Of whole tiles, and of tiles in which several experts' rows begin.
  { experts: 4, count: 80, cols: 128, runs: [64, 0, 37, 30] },
  { experts: 5, count: 64, cols: 64, runs: [1, 129, 0, 3, 2] },
]

export const cases: readonly KernelCase[] = [
  ...shapes,
  { experts: 8, count: 1536, cols: 512, runs: [0, 1, 0, 0, 1, 0, 0, 0] },
  ...shapes.slice(2, 4).map((shape) => ({ ...shape, packing: 'base3' as const })),
].map(expertCase)
