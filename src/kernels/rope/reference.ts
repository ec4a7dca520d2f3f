/**
 * Rotary position embedding (Su et al. 2021) in the half-rotation form, of whole sequences: row i of a
 * sequence has position i. Its backward is the rotation by the same angles the other way.
 */
import { rotate } from '../rope-cache/reference.ts'
import type { SequenceHeads } from '../sequences.ts'

/**
 * @param qkv (rows, (nHeads + 2 nKvHeads) * headDim): queries, keys, values
 * @param rotations (length, 2, headDim / 2): cosines, then sines
 */
export function rope(
  qkv: Float32Array,
  rotations: Float32Array,
  { rows, length, nHeads, nKvHeads, headDim }: SequenceHeads,
  inverse = false,
): void {
  const stride = (nHeads + 2 * nKvHeads) * headDim
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < nHeads + nKvHeads; head++) {
      const first = row * stride + head * headDim
      rotate(qkv, first, rotations, row % length, headDim, inverse ? -1 : 1)
    }
  }
}
