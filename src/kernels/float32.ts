/**
 * Float32 arithmetic that every backend repeats bit for bit: an exponential and a sum in lanes.
 *
 * Each operation is rounded to float32 before the next one (Math.fround) and none is fused. Two
 * float32 operands fit twice into a float64, so computing in float64 and rounding once is the same
 * as the hardware's float32 addition, product, quotient or square root.
 */

import { roundHalfEven } from '../ternary/index.ts'

const f = Math.fround

/** Partial sums of a reduction: lane i & 15 takes element i, as one 512-bit register would. */
export const LANES = 16

/** The sum of sixteen lanes as a tree: halves of 8, 4, 2, 1 are added up. Overwrites `lanes`. */
export function sumLanes(lanes: Float32Array | Float64Array): number {
  for (let width = LANES / 2; width > 0; width >>= 1) {
    for (let i = 0; i < width; i++) lanes[i] = lanes[i] + lanes[i + width]
  }
  return lanes[0]
}

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)
/** Below this a product with the smallest half, 2^-24, could need bits beyond float32's last, 2^-149. */
const LEAST_SHORT = 2 ** -100
/** What is infinite times this, from 2^112 on, could be so times the largest half, 65,504. */
const HALF_RANGE = 2 ** 16

/**
 * x rounded to 13 significant bits, nearest with ties to even; zero below 2^-100, infinite from 2^112 on.
 *
 * Halves have 11 bits, so that the product of such a number with a half is exact in float32. A fused
 * multiply-add then rounds where a product and an addition do, and processors may use either.
 *
 * @param x a float32 value
 */
export function shortFloat(x: number): number {
  if (Math.abs(x) < LEAST_SHORT) return 0
  scratch[0] = f(x * HALF_RANGE) / HALF_RANGE
  const bits = scratchBits[0]
  scratchBits[0] = (bits + 0x3ff + ((bits >>> 11) & 1)) & ~0x7ff
  return scratch[0]
}

/** Beyond these e^x is not a normal float32; 2^n below stays one. */
const EXP_MIN = -87
const EXP_MAX = 88
const LOG2_E = f(Math.LOG2E)
/** ln 2 in two parts: the first has few enough bits that n times it is exact for |n| <= 127. */
const LN2_HIGH = f(0.693359375)
const LN2_LOW = f(-2.1219444e-4)
/** Taylor's series to r^7; the error at |r| <= ln 2 / 2 is below 6e-9. */
const COEFFICIENTS = [1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1, 1].map(f)

/** 2^n for n from -126 to 127. */
const POWERS = Float32Array.from({ length: 254 }, (_, i) => 2 ** (i - 126))

/**
 * e^x as 2^n e^r, n = round(x / ln 2); relative error below 2e-7. x is clamped to [-87, 88].
 *
 * @param x a float32 value
 */
export function exp32(x: number): number {
  const clamped = Math.min(Math.max(x, EXP_MIN), EXP_MAX)
  const n = roundHalfEven(f(clamped * LOG2_E))
  const r = f(f(clamped - f(n * LN2_HIGH)) - f(n * LN2_LOW))
  let p = COEFFICIENTS[0]
  for (let i = 1; i < 8; i++) p = f(f(p * r) + COEFFICIENTS[i])
  return f(p * POWERS[n + 126])
}

/** Bits of the float32 next to sqrt(1/2), and of the places below the exponent. */
const ROOT_HALF_BITS = 0x3f3504f3
const FRACTION_BITS = 23
/** 1 / (2 i + 1), of the series of atanh. */
const ATANH = [1 / 9, 1 / 7, 1 / 5, 1 / 3, 1].map(f)

/**
 * ln x as e ln 2 + ln m, m in [sqrt(1/2), sqrt(2)), and ln m = 2 atanh((m - 1) / (m + 1)); error below 1e-7 or
 * 2e-7 of the result.
 *
 * @param x a normal, positive float32 value
 */
export function log32(x: number): number {
  scratch[0] = x
  const exponent = (scratchBits[0] - ROOT_HALF_BITS) >> FRACTION_BITS
  scratchBits[0] -= exponent << FRACTION_BITS
  const m = scratch[0]
  const s = f(f(m - 1) / f(m + 1))
  const z = f(s * s)
  let p = ATANH[0]
  for (let i = 1; i < ATANH.length; i++) p = f(f(p * z) + ATANH[i])
  return f(f(exponent * LN2_HIGH) + f(f(exponent * LN2_LOW) + f(f(2 * s) * p)))
}
