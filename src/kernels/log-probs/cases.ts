/** Cases of log-probs: ties, few that can come, tokens that are none, more asked for than there are. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'
import { DRAWN_FLOATS } from './reference.ts'

interface Shape {
  readonly rows: number
  readonly cols: number
  readonly count: number
  readonly magnitude?: number
  /** Changes the logits of a row. */
  readonly shape?: (logits: Float32Array) => void
  readonly what?: string
}

function logProbsCase(own: Shape): KernelCase {
  const { rows, cols, count, magnitude = 8, shape, what = `magnitude ${magnitude}` } = own
  return {
    name: `${count} of ${rows} x ${cols}, ${what}`,
    create() {
      const random = new Seeded(cols + count)
      const logits = random.floats(rows * cols, magnitude)
      for (let row = 0; row < rows; row++) {
        shape?.(logits.subarray(row * cols, (row + 1) * cols))
      }
      const tokens = Int32Array.from({ length: rows }, () => random.below(cols))
      if (rows > 2) tokens[2] = -1
      return {
        contents: {
          logits,
          tokens,
          out: stale(rows * (DRAWN_FLOATS + count)),
          ids: new Int32Array(rows * count).fill(-12345),
        },
        command: (buffers) => ({
          op: 'log-probs',
          rows,
          cols,
          count,
          logits: buffers['logits'],
          tokens: buffers['tokens'],
          out: buffers['out'],
          ids: buffers['ids'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 2, 15, 16, 17, 33].map((cols) => logProbsCase({ rows: 3, cols, count: 5 })),
  logProbsCase({ rows: 5, cols: 1000, count: 1 }),
  logProbsCase({ rows: 2, cols: 300, count: 64 }),
  logProbsCase({ rows: 3, cols: 90, count: 20, magnitude: 1e30 }),
  logProbsCase({ rows: 3, cols: 19, count: 6, magnitude: 0, what: 'all equal' }),
  logProbsCase({
    rows: 3,
    cols: 200,
    count: 20,
    what: 'in groups of equals',
    shape: (logits) => {
      for (const [i, logit] of logits.entries()) logits[i] = Math.round(logit / 3)
    },
  }),
  logProbsCase({
    rows: 3,
    cols: 100,
    count: 9,
    what: 'few that can come',
    shape: (logits) => {
      for (let i = 0; i < logits.length; i++) logits[i] = i % 17 === 3 ? 1 : -Infinity
    },
  }),
  logProbsCase({ rows: 3, cols: 128_256, count: 20 }),
]
