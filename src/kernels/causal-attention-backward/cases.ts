/** Cases of causal-attention-backward: what its forward gave at its shapes, and any gradient. */
import { attentionShapes, shapeName } from '../causal-attention/cases.ts'
import { causalAttention } from '../causal-attention/reference.ts'
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

export const cases: readonly KernelCase[] = attentionShapes.map((shape) => {
  const { rows, nHeads, nKvHeads, headDim } = shape
  return {
    name: shapeName(shape),
    create() {
      const seeded = new Seeded(rows + 1)
      const attended = rows * nHeads * headDim
      const memory = {
        qkv: seeded.floats(rows * (nHeads + 2 * nKvHeads) * headDim, 2),
        out: new Float32Array(attended),
        softmax: new Float32Array(rows * nHeads * 2),
      }
      causalAttention(memory, shape)
      return {
        contents: { ...memory, dOut: seeded.floats(attended), dQkv: stale(memory.qkv.length) },
        command: ({ qkv, out, softmax, dOut, dQkv }) => ({
          op: 'causal-attention-backward',
          ...shape,
          qkv,
          out,
          softmax,
          dOut,
          dQkv,
        }),
      }
    },
  }
})
