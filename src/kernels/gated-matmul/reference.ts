/**
 * A gated feed-forward: out = relu(gate)² * up, where gate and up are W q * scales with the halves of the rows
 * of a matrix in the order 'gated' (ternary/orders.ts). Every product of integers is exact, so what is left out
 * where the gate is not positive, a factor of 0, changes no result but the sign of a zero.
 */
import { inStripes } from '../../ternary/index.ts'
import type { QuantizedRows } from '../quantize/reference.ts'
import { type TernaryWeights, ternaryMatmul } from '../ternary-matmul/reference.ts'

/**
 * @param out (tokens, weights.rows / 2)
 * @param gateUp (tokens, weights.rows), of which the first half of each row is written: the gates
 * @param x of `tokens` tokens with weights.cols columns
 */
export function gatedMatmul(
  out: Float32Array,
  gateUp: Float32Array,
  x: QuantizedRows,
  weights: TernaryWeights,
  tokens: number,
): void {
  const { rows, packing, order = 'stripes' } = weights
  const half = rows / 2
  const products = new Float32Array(tokens * rows)
  const striped = { ...weights, ...inStripes(weights, order, packing), order: undefined }
  ternaryMatmul(products, x, striped, tokens, false)
  for (let token = 0; token < tokens; token++) {
    for (let row = 0; row < half; row++) {
      const gate = products[token * rows + row]
      const up = products[token * rows + half + row]
      gateUp[token * rows + row] = gate
      out[token * half + row] = gate > 0 ? Math.fround(gate * gate) * up : 0
    }
  }
}
