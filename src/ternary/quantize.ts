/**
 * The quantisers of the papers, on plain arrays.
 *
 * Weights, b1.58 (Ma et al. 2024, section 2): absmean, codes in {-1, 0, +1}, one scale a tensor.
 * Weights, b1 (Wang et al. 2023, section 2.1): sign after centring, one scale a tensor.
 * Activations (both papers): absmax, int8, one scale a token.
 *
 * Rounding is half to even in float32, as in the training code, so that codes agree bit for bit.
 */

/** Smallest magnitude a scale is computed from; keeps an all-zero tensor or token finite. */
export const SCALE_FLOOR = 1e-5

/** 1.5 * 2^23: adding and subtracting it in float32 rounds |x| < 2^22 half to even. */
const ROUND_MAGIC = 12582912

/** Rounds half to even; `x` must be a float32 value of magnitude below 2^22. */
export function roundHalfEven(x: number): number {
  return Math.fround(Math.fround(x + ROUND_MAGIC) - ROUND_MAGIC)
}

/** Codes and the factor that turns them back: weight = code * scale. */
export interface QuantizedWeights {
  /** One of -1, 0, +1 per weight, in the order of the input. */
  readonly codes: Int8Array
  readonly scale: number
}

/**
 * Absmean quantisation: scale = max(mean|w|, 1e-5), code = clamp(round(w / scale), -1, 1).
 *
 * @param weights any shape, flattened; at least one element
 */
export function absmeanQuantize(weights: Float32Array): QuantizedWeights {
  let sum = 0
  for (const w of weights) sum += Math.abs(w)
  const scale = Math.fround(Math.max(sum / Math.max(weights.length, 1), SCALE_FLOOR))
  const codes = new Int8Array(weights.length)
  absmeanCodes(codes, weights, scale)
  return { codes, scale }
}

/** The second half of {@link absmeanQuantize}, for a scale that is already known. */
export function absmeanCodes(codes: Int8Array, weights: Float32Array, scale: number): void {
  const inverse = Math.fround(1 / scale)
  for (let i = 0; i < weights.length; i++) {
    const scaled = Math.fround(weights[i] * inverse)
    codes[i] = scaled > 0.5 ? 1 : scaled < -0.5 ? -1 : 0
  }
}

/**
 * Binary quantisation of BitNet b1: code = sign(w - mean(w)), scale = mean|w|. An exact zero gives 0.
 *
 * @param weights any shape, flattened; at least one element
 */
export function signQuantize(weights: Float32Array): QuantizedWeights {
  let sum = 0
  let magnitude = 0
  for (const w of weights) {
    sum += w
    magnitude += Math.abs(w)
  }
  const n = Math.max(weights.length, 1)
  const mean = Math.fround(sum / n)
  const codes = Int8Array.from(weights, (w) => Math.sign(Math.fround(w - mean)))
  return { codes, scale: Math.fround(magnitude / n) }
}

/** One token's activations as int8, and the factor that turns them back: x = q * scale. */
export interface QuantizedActivations {
  /** In [-128, 127], in the order of the input. */
  readonly q: Int8Array
  readonly scale: number
}

/**
 * Absmax quantisation of one token: m = max(max|x|, 1e-5), q = clamp(round(x * 127 / m), -128, 127).
 *
 * @param x activations of one token, (cols)
 */
export function absmaxQuantize(x: Float32Array): QuantizedActivations {
  let max: number = Math.fround(SCALE_FLOOR)
  for (const v of x) {
    const a = Math.abs(v)
    if (a > max) max = a
  }
  const factor = Math.fround(127 / max)
  const q = new Int8Array(x.length)
  for (let i = 0; i < x.length; i++) {
    const r = roundHalfEven(Math.fround(x[i] * factor))
    q[i] = Math.max(-128, Math.min(127, r))
  }
  return { q, scale: Math.fround(max / 127) }
}
