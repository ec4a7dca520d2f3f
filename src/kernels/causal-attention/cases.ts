/** Cases of causal-attention: lengths around a block of queries and of keys, grouped queries, odd heads. */
import type { SequenceHeads } from '../sequences.ts'
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

/** Sizes that its backward is tried at, too. */
export const attentionShapes: readonly SequenceHeads[] = [
  { rows: 1, length: 1, nHeads: 1, nKvHeads: 1, headDim: 2 },
  { rows: 34, length: 17, nHeads: 4, nKvHeads: 2, headDim: 10 },
  { rows: 63, length: 63, nHeads: 2, nKvHeads: 2, headDim: 16 },
  { rows: 66, length: 66, nHeads: 1, nKvHeads: 1, headDim: 64 },
  { rows: 145, length: 145, nHeads: 3, nKvHeads: 1, headDim: 38 },
  { rows: 20, length: 20, nHeads: 2, nKvHeads: 1, headDim: 128 },
]

export function shapeName({ rows, length, nHeads, nKvHeads, headDim }: SequenceHeads): string {
  return `${rows / length} x ${length} tokens, ${nHeads} heads on ${nKvHeads} of ${headDim}`
}

export const cases: readonly KernelCase[] = attentionShapes.map((shape) => {
  const { rows, nHeads, nKvHeads, headDim } = shape
  return {
    name: shapeName(shape),
    create: () => ({
      contents: {
        qkv: new Seeded(rows).floats(rows * (nHeads + 2 * nKvHeads) * headDim, 2),
        out: stale(rows * nHeads * headDim),
        softmax: stale(rows * nHeads * 2),
      },
      command: ({ qkv, out, softmax }) => ({
        op: 'causal-attention',
        ...shape,
        qkv,
        out,
        softmax,
      }),
    }),
  }
})
