/** Cases of token-scores: lanes that fill unevenly, ties, far logits, rows asked for twice. */
import { bitnet2b4t, type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'
import { SCORE_FLOATS } from './reference.ts'

interface Shape {
  readonly logitRows: number
  readonly cols: number
  readonly pairs: readonly (readonly [row: number, token: number])[]
  readonly magnitude?: number
  /** Tokens whose logits are all the largest. */
  readonly ties?: readonly number[]
}

function scoresCase({ logitRows, cols, pairs, magnitude = 8, ties = [] }: Shape): KernelCase {
  const what = ties.length > 0 ? `, ${ties.length} equal` : ''
  return {
    name: `${pairs.length} tokens of ${logitRows} x ${cols}, magnitude ${magnitude}${what}`,
    create() {
      const logits = new Seeded(cols + pairs.length).floats(logitRows * cols, magnitude)
      for (const tie of ties) logits[tie] = magnitude
      if (cols > 20) logits[3] = -Infinity
      return {
        contents: {
          logits,
          pairs: Int32Array.from(pairs.flat()),
          out: stale(pairs.length * SCORE_FLOATS),
        },
        command: (buffers) => ({
          op: 'token-scores',
          rows: pairs.length,
          cols,
          logits: buffers['logits'],
          pairs: buffers['pairs'],
          out: buffers['out'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  scoresCase({ logitRows: 1, cols: 1, pairs: [[0, 0]] }),
  ...[2, 15, 16, 17, 33].map((cols) =>
    scoresCase({ logitRows: 1, cols, pairs: Array.from({ length: cols }, (_, i) => [0, i]) }),
  ),
  scoresCase({
    logitRows: 1,
    cols: 40,
    pairs: [
      [0, 5],
      [0, 17],
      [0, 33],
    ],
    ties: [17, 5, 33],
  }),
  // Zeros of both signs are equal.
  scoresCase({
    logitRows: 2,
    cols: 19,
    pairs: [
      [1, 0],
      [0, 18],
    ],
    magnitude: 0,
  }),
  scoresCase({
    logitRows: 3,
    cols: 100,
    pairs: [
      [2, 3],
      [0, 99],
      [2, 50],
    ],
    magnitude: 1e30,
  }),
  scoresCase({
    logitRows: 17,
    cols: bitnet2b4t.vocabSlice + 5,
    pairs: Array.from({ length: 40 }, (_, i) => [(i * 7) % 17, (i * 911) % bitnet2b4t.vocabSlice]),
  }),
]
