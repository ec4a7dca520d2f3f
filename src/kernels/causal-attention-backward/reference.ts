/**
 * The gradient of causal attention. Softmax weights p are computed again from the scores' maximum and sum, so
 * that no T x T matrix is kept. With D = dOut.out of each query and head:
 *
 *   dv = sum over queries of p dOut,   ds = p (dOut.v - D)
 *   dq = scale (sum over keys of ds k),   dk = scale (sum over queries of ds q)
 *
 * Sums over keys and over queries go in their order, those of a key's gradients first over the queries of one
 * head, then over the heads that share it. D is summed up in sixteen lanes, dimension i in lane i & 15.
 */
import { dotOf, headsOf } from '../causal-attention/reference.ts'
import { exp32, LANES, sumLanes } from '../float32.ts'
import type { SequenceHeads } from '../sequences.ts'

const f = Math.fround

interface Memory {
  readonly qkv: Float32Array
  readonly out: Float32Array
  readonly softmax: Float32Array
  readonly dOut: Float32Array
  readonly dQkv: Float32Array
}

function laneDot(a: Float32Array, b: Float32Array): number {
  const lanes = new Float32Array(LANES)
  for (let d = 0; d < a.length; d++) lanes[d & 15] += f(a[d] * b[d])
  return sumLanes(lanes)
}

/** sum += weight * x */
function addTo(sum: Float32Array, x: Float32Array, weight: number): void {
  for (let d = 0; d < x.length; d++) sum[d] += f(weight * x[d])
}

export function causalAttentionBackward(m: Memory, shape: SequenceHeads): void {
  const { rows, length, nHeads, nKvHeads, headDim } = shape
  const scale = f(1 / Math.sqrt(headDim))
  const heads = headsOf(m.qkv, shape)
  const gradients = headsOf(m.dQkv, shape)
  m.dQkv.fill(0, 0, rows * (nHeads + 2 * nKvHeads) * headDim)
  const part = (x: Float32Array, row: number, head: number) => {
    const first = (row * nHeads + head) * headDim
    return x.subarray(first, first + headDim)
  }
  for (let head = 0; head < nHeads; head++) {
    const shared = Math.floor(head / (nHeads / nKvHeads))
    for (let row = 0; row < rows; row++) {
      const q = heads.query(row, head)
      const dOut = part(m.dOut, row, head)
      const along = laneDot(dOut, part(m.out, row, head))
      const max = m.softmax[(row * nHeads + head) * 2]
      const inverse = f(1 / m.softmax[(row * nHeads + head) * 2 + 1])
      const dq = gradients.query(row, head)
      for (let key = row - (row % length); key <= row; key++) {
        const k = heads.key(key, shared)
        const v = heads.value(key, shared)
        const p = f(exp32(f(f(dotOf(k, q) * scale) - max)) * inverse)
        const ds = f(p * f(dotOf(v, dOut) - along))
        addTo(dq, k, ds)
        addTo(gradients.key(key, shared), q, ds)
        addTo(gradients.value(key, shared), dOut, p)
      }
      for (let d = 0; d < headDim; d++) dq[d] *= scale
    }
  }
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < nKvHeads; head++) {
      const dk = gradients.key(row, head)
      for (let d = 0; d < headDim; d++) dk[d] *= scale
    }
  }
}
