/**
 * Causal attention with grouped queries over whole sequences: query i attends to keys 0..i of its sequence.
 *
 *   out = sum over keys of softmax(k.q / sqrt(headDim)) v
 *
 * Keys go in blocks of ATTEND_KEYS; behind each block sums are rescaled to the largest score so far (the
 * online softmax of Milakov and Gimelshein 2018), so that no T x T matrix is ever kept. Products and sums are
 * float32, over dimensions and over keys in order; processors with a fused multiply-add use it.
 */
import { exp32 } from '../float32.ts'
import type { SequenceHeads } from '../sequences.ts'

const f = Math.fround

/** Keys between two rescalings. */
export const ATTEND_KEYS = 64

interface Memory {
  readonly qkv: Float32Array
  readonly out: Float32Array
  readonly softmax: Float32Array
}

/** The product of two vectors, in order. */
export function dotOf(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let d = 0; d < a.length; d++) sum = f(sum + f(a[d] * b[d]))
  return sum
}

/** The parts of one row of queries, keys and values. */
export function headsOf(qkv: Float32Array, { nHeads, nKvHeads, headDim }: SequenceHeads) {
  const stride = (nHeads + 2 * nKvHeads) * headDim
  const at = (row: number, head: number) => {
    const first = row * stride + head * headDim
    return qkv.subarray(first, first + headDim)
  }
  return {
    query: (row: number, head: number) => at(row, head),
    key: (row: number, head: number) => at(row, nHeads + head),
    value: (row: number, head: number) => at(row, nHeads + nKvHeads + head),
  }
}

export function causalAttention({ qkv, out, softmax }: Memory, shape: SequenceHeads): void {
  const { rows, length, nHeads, nKvHeads, headDim } = shape
  const heads = headsOf(qkv, shape)
  const scale = f(1 / Math.sqrt(headDim))
  for (let row = 0; row < rows; row++) {
    const start = row - (row % length)
    for (let head = 0; head < nHeads; head++) {
      const shared = Math.floor(head / (nHeads / nKvHeads))
      const q = heads.query(row, head)
      const sums = new Float32Array(headDim)
      let max = -Infinity
      let sum = 0
      for (let first = start; first <= row; first += ATTEND_KEYS) {
        const end = Math.min(row + 1, first + ATTEND_KEYS)
        const scores = new Float32Array(end - first)
        for (let key = first; key < end; key++) {
          scores[key - first] = f(dotOf(heads.key(key, shared), q) * scale)
        }
        const largest = Math.max(max, ...scores)
        const factor = exp32(f(max - largest))
        sum = f(sum * factor)
        for (let d = 0; d < headDim; d++) sums[d] *= factor
        for (let key = first; key < end; key++) {
          const weight = exp32(f(scores[key - first] - largest))
          const v = heads.value(key, shared)
          sum = f(sum + weight)
          for (let d = 0; d < headDim; d++) sums[d] = f(sums[d] + f(weight * v[d]))
        }
        max = largest
      }
      const at = row * nHeads + head
      const inverse = f(1 / sum)
      for (let d = 0; d < headDim; d++) out[at * headDim + d] = sums[d] * inverse
      softmax.set([max, sum], at * 2)
    }
  }
}
