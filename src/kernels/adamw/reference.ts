/**
 * AdamW (Loshchilov and Hutter 2019), with gradients clipped by the norm of all of them:
 *
 *   g = gradient * scale * min(1, maxNorm / (norm * scale + 1e-6))        no clipping where maxNorm is 0
 *   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
 *   p = p (1 - lr decay) - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 * Nothing changes where the norm is not finite: a step that failed leaves the weights as they were.
 */

/** The numbers of a step, in their order in memory; all are float32. */
export const ADAMW_NUMBERS = [
  'rate', // lr / (1 - beta1^t)
  'keep', // 1 - lr decay
  'beta1',
  'rest1', // 1 - beta1
  'beta2',
  'rest2', // 1 - beta2
  'rootBias', // 1 / sqrt(1 - beta2^t)
  'eps',
  'maxNorm',
  'scale', // what gradients are multiplied by first: 1 over what the loss was multiplied by
] as const

const f = Math.fround

interface Memory {
  readonly parameters: Float32Array
  readonly gradients: Float32Array
  readonly means: Float32Array
  readonly squares: Float32Array
  readonly numbers: Float32Array
  readonly squareSum: Float32Array
}

/** What all gradients are multiplied by; 0 where they are not finite. */
function clipFactor(squareSum: number, maxNorm: number, scale: number): number {
  if (!(squareSum < Infinity)) return 0
  if (maxNorm === 0) return scale
  const norm = f(f(Math.sqrt(squareSum)) * scale)
  return f(Math.min(1, f(maxNorm / f(norm + f(1e-6)))) * scale)
}

/** @param count elements of each of the first four */
export function adamw(m: Memory, count: number): void {
  const [rate, keep, beta1, rest1, beta2, rest2, rootBias, eps, maxNorm, scale] = m.numbers
  const factor = clipFactor(m.squareSum[0], maxNorm, scale)
  if (factor === 0) return
  for (let i = 0; i < count; i++) {
    const g = f(m.gradients[i] * factor)
    m.means[i] = f(m.means[i] * beta1) + f(g * rest1)
    m.squares[i] = f(m.squares[i] * beta2) + f(f(g * g) * rest2)
    const size = f(f(f(Math.sqrt(m.squares[i])) * rootBias) + eps)
    m.parameters[i] = f(m.parameters[i] * keep) - f(rate * f(m.means[i] / size))
  }
}
