/**
 * What a conformance case is, and the seeded data cases are made of. Test material: every operation's
 * cases.ts uses it, and none of it is part of the package.
 */

import { packTernary, padToTile } from '../../ternary/index.ts'
import { float32ToFloat16 } from '../float16.ts'
import type { Command } from '../ops.ts'
import type { QuantizedRows } from '../quantize/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { STEP_WORDS } from '../step.ts'
import type { TernaryWeights } from '../ternary-matmul/reference.ts'

export type CaseArray = Float32Array | Int32Array | Uint16Array | Int8Array | Uint8Array

/** The first contents of every buffer, and the command on buffers of these names. */
export interface CaseData<C = Command> {
  readonly contents: Readonly<Record<string, CaseArray>>
  command(buffers: Readonly<Record<string, BufferSlice>>): C
}

export interface KernelCase<C = Command> {
  readonly name: string
  /** Weights of the matrix in a product, so that a slow machine can leave large ones out unmade. */
  readonly weights?: number
  /** Makes the data anew; it is the same at every call. */
  create(): CaseData<C>
}

/** BitNet b1.58 2B-4T, from its config.json. */
export const bitnet2b4t = {
  dim: 2560,
  ffnDim: 6912,
  nHeads: 20,
  nKvHeads: 5,
  headDim: 128,
  qkvRows: 3840,
  gateUpRows: 13824,
  ropeTheta: 500_000,
  normEps: 1e-5,
  /** Enough rows of the vocabulary to keep all threads busy. */
  vocabSlice: 4096,
} as const

/** Tokens in a pass: decoding, drafts, and a prompt one longer than a block of any kernel. */
export const tokenCounts = [1, 2, 3, 17] as const

/** Numbers that look random and are the same everywhere (mulberry32 by Tommy Ettinger). */
export class Seeded {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** An unsigned 32-bit integer. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) * limit)
  }

  /** Uniform in [-magnitude, magnitude). */
  floats(count: number, magnitude = 1): Float32Array {
    const unit = magnitude / 2 ** 31
    return Float32Array.from({ length: count }, () => this.word() * unit - magnitude)
  }

  /** Uniform in (0, magnitude]. */
  positive(count: number, magnitude = 1): Float32Array {
    const unit = magnitude / 2 ** 32
    return Float32Array.from({ length: count }, () => (this.word() + 1) * unit)
  }

  halves(count: number, magnitude = 1): Uint16Array {
    return Uint16Array.from(this.floats(count, magnitude), float32ToFloat16)
  }

  /** -1, 0 or +1. */
  codes(count: number): Int8Array {
    return Int8Array.from({ length: count }, () => this.below(3) - 1)
  }

  /** -128 to 127. */
  int8(count: number): Int8Array {
    return Int8Array.from({ length: count }, () => this.word() >> 24)
  }

  /** A ternary matrix with random scales; codes are random unless given. */
  ternary(rows: number, cols: number, codes = this.codes(rows * cols)): TernaryWeights {
    const scales = new Float32Array(padToTile(rows))
    scales.set(this.positive(rows, 0.02))
    return { ...packTernary(codes, rows, cols), scales }
  }
}

/** Rows of q with their padding and sums; `q` is (tokens, cols). */
export function quantizedRows(
  q: Int8Array,
  scales: Float32Array,
  tokens: number,
  cols: number,
): QuantizedRows {
  const stride = padToTile(cols)
  const padded = new Int8Array(tokens * stride)
  const sums = new Int32Array(tokens)
  for (let token = 0; token < tokens; token++) {
    const row = q.subarray(token * cols, (token + 1) * cols)
    padded.set(row, token * stride)
    sums[token] = row.reduce((sum, value) => sum + value, 0)
  }
  return { q: padded, scales, sums }
}

/** The numbers below `count`, in the same random order every time. */
export function shuffled(count: number): number[] {
  const seeded = new Seeded(count)
  const numbers = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const other = seeded.below(i + 1)
    ;[numbers[i], numbers[other]] = [numbers[other], numbers[i]]
  }
  return numbers
}

/** Room for a result, filled with what no kernel should leave there. */
export function stale(count: number): Float32Array {
  return new Float32Array(count).fill(-12345.678)
}

/** Step entries (token, slot, position, 0). */
export function stepWords(
  entries: readonly { token?: number; slot?: number; position?: number }[],
): Int32Array {
  const words = new Int32Array(entries.length * STEP_WORDS)
  for (const [i, { token = 0, slot = 0, position = 0 }] of entries.entries()) {
    words.set([token, slot, position, 0], i * STEP_WORDS)
  }
  return words
}

/** cos and sin of every position, (positions, 2, headDim / 2). */
export function rotationTable(positions: number, headDim: number, theta: number): Float32Array {
  const half = headDim / 2
  const table = new Float32Array(positions * headDim)
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * theta ** (-i / half)
      table[position * headDim + i] = Math.cos(angle)
      table[position * headDim + half + i] = Math.sin(angle)
    }
  }
  return table
}
