/**
 * Cross-entropy fused with the softmax. With p = softmax(logits) of a row, t its target, w its weight:
 *
 *   loss = w (ln(sum of e^(logit - max)) - (logit[t] - max)),   dLogits = w (p - [is t])
 *
 * Maximum and sum are those of token-scores, the logarithm is log32.
 */
import { exp32, log32 } from '../float32.ts'
import { largestOf, sumOfExponentials } from '../token-scores/reference.ts'

const f = Math.fround

interface Memory {
  readonly logits: Float32Array
  readonly targets: Int32Array
  readonly weights: Float32Array
  readonly losses: Float32Array
}

export function crossEntropy(
  { logits, targets, weights, losses }: Memory,
  { rows, cols, accumulate }: { rows: number; cols: number; accumulate?: boolean | undefined },
): void {
  for (let row = 0; row < rows; row++) {
    const x = logits.subarray(row * cols, (row + 1) * cols)
    const weight = weights[row]
    const target = targets[row]
    const max = largestOf(x)
    const sum = sumOfExponentials(x, max)
    const loss = f(weight * f(log32(sum) - f(x[target] - max)))
    losses[row] = accumulate ? losses[row] + loss : loss
    const inverse = f(1 / sum)
    for (let i = 0; i < cols; i++) {
      const p = f(exp32(f(x[i] - max)) * inverse)
      x[i] = (i === target ? f(p - 1) : p) * weight
    }
  }
}
