/**
 * The gradient of a router's logits: of the weights of the chosen experts, which are the softmax of their logits, and
 * of the loss that keeps experts evenly used (Fedus et al. 2021, Switch Transformers, equations 4 to 6). With f the
 * share of assignments that went to each expert, which passes no gradient, and p the softmax of all of a row's logits:
 *
 *   balance * sum over rows of u * sum over experts of f p        u: what a row counts in the loss
 *
 * Sums go through the experts in order.
 */
import { exp32 } from '../float32.ts'
import { largestOf } from '../token-scores/reference.ts'

const f = Math.fround

interface Memory {
  /** (rows, experts) each. */
  readonly logits: Float32Array
  readonly dLogits: Float32Array
  /** (rows, top) each: as `route` left them, and the gradient of the weights. */
  readonly weights: Float32Array
  readonly places: Int32Array
  readonly chosen: Int32Array
  readonly dWeights: Float32Array
  /** (rows) */
  readonly counts: Float32Array
}

export interface RouteBackwardShape {
  readonly rows: number
  readonly experts: number
  readonly top: number
  readonly balance: number
}

export function routeBackward(
  m: Memory,
  { rows, experts, top, balance }: RouteBackwardShape,
): void {
  const shares = sharesOf(m.chosen.subarray(0, rows * top), experts)
  const p = new Float32Array(experts)
  for (let row = 0; row < rows; row++) {
    const x = m.logits.subarray(row * experts, (row + 1) * experts)
    const d = m.dLogits.subarray(row * experts, (row + 1) * experts)
    const max = largestOf(x)
    let sum = 0
    for (let expert = 0; expert < experts; expert++) {
      p[expert] = exp32(f(x[expert] - max))
      sum = f(sum + p[expert])
    }
    let mean = 0
    for (let expert = 0; expert < experts; expert++) {
      p[expert] /= sum
      mean = f(mean + f(p[expert] * shares[expert]))
    }
    const factor = f(m.counts[row] * f(balance))
    for (let expert = 0; expert < experts; expert++) {
      d[expert] = f(factor * p[expert]) * f(shares[expert] - mean)
    }
    let inner = 0
    for (let at = row * top; at < (row + 1) * top; at++) {
      inner = f(inner + f(m.weights[at] * m.dWeights[at]))
    }
    for (let at = row * top; at < (row + 1) * top; at++) {
      d[m.chosen[m.places[at]]] += f(m.weights[at] * f(m.dWeights[at] - inner))
    }
  }
}

/** Of all assignments, those to each expert. */
function sharesOf(chosen: Int32Array, experts: number): Float32Array {
  const shares = new Float32Array(experts)
  for (const expert of chosen) shares[expert]++
  return shares.map((count) => count / chosen.length)
}
