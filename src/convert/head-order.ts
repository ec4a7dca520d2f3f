/**
 * Rows of query and key projections in the other of the two orders (see halfOrderRows): within a
 * head, half order has the first elements of all pairs before the second ones, interleaved order has
 * each pair side by side.
 */
import type { TernaryTensor } from '../formats/model-file.ts'

/** A tensor in half order, as GGUF's llama architecture wants it. */
export function interleavedRows(tensor: TernaryTensor, headDim: number): TernaryTensor {
  const half = headDim / 2
  return reorderedRows(tensor, headDim, (row) => (row >> 1) + (row & 1) * half)
}

/** A tensor in interleaved order, as Hugging Face and GGUF's bitnet architectures have it. */
export function halfRows(tensor: TernaryTensor, headDim: number): TernaryTensor {
  const half = headDim / 2
  return reorderedRows(tensor, headDim, (row) => 2 * (row % half) + (row < half ? 0 : 1))
}

/** Whole heads are read and their rows picked, so a range is best a multiple of headDim. */
function reorderedRows(
  tensor: TernaryTensor,
  headDim: number,
  sourceOf: (rowInHead: number) => number,
): TernaryTensor {
  const { cols } = tensor
  return {
    ...tensor,
    async readCodes(row, count, out) {
      const first = row - (row % headDim)
      const end = Math.ceil((row + count) / headDim) * headDim
      const heads = new Int8Array((end - first) * cols)
      await tensor.readCodes(first, end - first, heads)
      for (let r = row; r < row + count; r++) {
        const from = r - (r % headDim) + sourceOf(r % headDim) - first
        out.set(heads.subarray(from * cols, (from + 1) * cols), (r - row) * cols)
      }
    },
  }
}
