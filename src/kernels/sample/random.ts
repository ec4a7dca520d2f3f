/**
 * Random numbers that are found by counting, not by going on from the one before: whoever knows the seed,
 * the sequence, the position and the token knows the number, on every backend and in any order.
 *
 * A position's key is Philox 4x32 with ten rounds (Salmon et al. 2011), a token's number two rounds of a mixer
 * of 32 bits under that key. Not for cryptography.
 */

const f = Math.fround
const LN2 = f(Math.LN2)

/** The low and the high 32 bits of a product of two unsigned words, by their halves. */
function wideProduct(a: number, b: number): [low: number, high: number] {
  const [aLow, aHigh] = [a & 0xffff, a >>> 16]
  const [bLow, bHigh] = [b & 0xffff, b >>> 16]
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const other = aLow * bHigh + (middle & 0xffff)
  const high = aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536)
  return [Math.imul(a, b) >>> 0, high >>> 0]
}

export type FourWords = readonly [a: number, b: number, c: number, d: number]

/** Philox 4x32-10 of a counter of four words and a key of two, all unsigned. */
export function philox(counter: FourWords, key: readonly [low: number, high: number]): FourWords {
  let [a, b, c, d] = counter
  let [low, high] = key
  for (let round = 0; round < 10; round++) {
    const [low0, high0] = wideProduct(0xd2511f53, a)
    const [low1, high1] = wideProduct(0xcd9e8d57, c)
    a = (high1 ^ b ^ low) >>> 0
    b = low1
    c = (high0 ^ d ^ high) >>> 0
    d = low0
    low = (low + 0x9e3779b9) >>> 0
    high = (high + 0xbb67ae85) >>> 0
  }
  return [a, b, c, d]
}

/**
 * A bijection of 32-bit integers that spreads each bit over all others: the finaliser of MurmurHash 3 with
 * constants of less bias.
 */
export function mix(x: number): number {
  let z = x | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return z ^ (z >>> 15)
}

/** What the numbers of all tokens at one position of a sequence are made of. */
export type PositionKey = readonly [first: number, second: number]

/** @param seed its low and high 32 bits */
export function positionKey(
  seed: readonly [low: number, high: number],
  sequence: number,
  position: number,
): PositionKey {
  const [first, second] = philox([position, sequence, 0, 0], seed)
  return [first, second]
}

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** 1/13, 1/11, ... 1: the series of the inverse hyperbolic tangent over its argument. */
const COEFFICIENTS = [1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1].map(f)

/**
 * A token's number: exponentially distributed with mean 1, from 2^-32 to 23, a float32.
 *
 *   u = (v + 1/2) / 2^31          v: the upper 31 bits of the mixed word
 *   1 - u = m / 2^e               1/2 <= m < 1
 *   -ln(1 - u) = e ln 2 + 2 artanh((1 - m) / (1 + m))
 *
 * Small ones keep all their bits, since they decide who is drawn.
 */
export function exponential(token: number, [first, second]: PositionKey): number {
  const word = mix(mix(token ^ first) ^ second)
  const u = f(f(f(word >>> 1) + 0.5) * 2 ** -31)
  const rest = Math.max(f(1 - u), 2 ** -32)
  scratch[0] = rest
  const isHalf = rest >= 0.5
  const halvings = isHalf ? 0 : 126 - (scratchBits[0] >>> 23)
  scratchBits[0] = (scratchBits[0] & 0x7fffff) | (126 << 23)
  const gap = isHalf ? u : f(1 - scratch[0])
  const s = f(gap / f(2 - gap))
  const square = f(s * s)
  let p = COEFFICIENTS[0]
  for (let i = 1; i < 7; i++) p = f(f(p * square) + COEFFICIENTS[i])
  return f(f(halvings * LN2) + f(f(2 * s) * p))
}
