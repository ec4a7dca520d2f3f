/**
 * Seeded random numbers, the same on every platform: xoshiro128** 1.1 (Blackman and Vigna 2018),
 * in 32-bit integer arithmetic only. Not for cryptography.
 */

import { mix } from '../../kernels/sample/random.ts'

/** 2^32 divided by the golden ratio, odd: the usual increment of splitmix generators. */
const GOLDEN = 0x9e3779b9

export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed an integer from 0 to 2^53 - 1; different seeds give different states */
  constructor(seed: number) {
    const low = seed >>> 0
    const high = Math.floor(seed / 2 ** 32) >>> 0
    // mix is a bijection with mix(0) = 0. So (a, b) tells seeds apart, and when a is 0, c is not:
    // the all-zero state, in which xoshiro would stay for ever, cannot occur.
    this.#a = mix(low + GOLDEN)
    this.#b = mix((this.#a ^ high) + GOLDEN)
    this.#c = mix(this.#a + Math.imul(GOLDEN, 3))
    this.#d = mix(this.#b + Math.imul(GOLDEN, 5))
  }

  /** A generator in a given state, for comparing with other programs. Not all words may be 0. */
  static fromState(a: number, b: number, c: number, d: number): Random {
    const random = new Random(0)
    random.#a = a | 0
    random.#b = b | 0
    random.#c = c | 0
    random.#d = d | 0
    return random
  }

  /** Uniform over the integers 0 to 2^32 - 1. */
  nextUint32(): number {
    const scrambled = Math.imul(this.#b, 5)
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  /** Uniform over [0, 1) in steps of 2^-53. */
  nextFloat(): number {
    const high = this.nextUint32() >>> 5
    const low = this.nextUint32() >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }
}

/** A seed that nobody chose, 32 bits, so that it is short enough to be typed again. */
export function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]
}

/** The seed of the sequence `index` places after the one with `seed`; wraps within 53 bits. */
export function seedAt(seed: number, index: number): number {
  const distance = Number.MAX_SAFE_INTEGER - seed
  return index <= distance ? seed + index : index - distance - 1
}
