/**
 * The two orders in which the rows of a head's query and key projections are stored.
 *
 * Rotation turns pairs of elements. Hugging Face files and GGUF's bitnet architectures pair element i
 * with i + headDim / 2 ("half"); GGUF files of the llama architecture pair 2i with 2i + 1
 * ("interleaved"). Rows are put in the first order at load, so that kernels know only that one.
 */

/**
 * Reorders whole heads from interleaved pairs to half pairs.
 *
 * @param out, rows (heads * headDim, cols) row-major
 */
export function halfOrderRows<T extends Int8Array | Uint16Array | Float32Array>(
  out: T,
  rows: T,
  headDim: number,
  cols: number,
): void {
  const half = headDim / 2
  const count = rows.length / cols
  for (let r = 0; r < count; r++) {
    const inHead = r % headDim
    const source = r - inHead + 2 * (inHead % half) + (inHead < half ? 0 : 1)
    out.set(rows.subarray(source * cols, (source + 1) * cols), r * cols)
  }
}
