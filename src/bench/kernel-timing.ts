/**
 * Times single operations on a backend: one list of copies of the same command, run again and again.
 */

import type { Backend } from '../backends/backend.ts'
import type { CacheType, TernaryPacking } from '../kernels/storage.ts'
import {
  attentionCase,
  headCase,
  type KernelCase,
  quantizeCase,
  ternaryCase,
} from './kernel-cases.ts'
import { type Allocate, type PassOptions, timeCommands } from './pass-timing.ts'
import { layerProducts, type ModelShape } from './shapes.ts'
import { type Summary, summarize } from './statistics.ts'

export interface KernelTiming {
  readonly name: string
  /** Of one command, over all passes. */
  readonly microseconds: Summary
  /**
   * Of the fastest pass, as whatever else ran can only have made the others slower. Absent where the
   * operation does neither.
   */
  readonly bytesPerSecond?: number
  readonly macsPerSecond?: number
  /** Its limit is the integer peak. */
  readonly isTernary: boolean
}

export interface KernelCaseOptions {
  readonly kv: CacheType
  readonly packings: readonly TernaryPacking[]
}

/** Tokens in a pass: decode, a small batch or a guess, and two lengths of prompt. */
const TOKEN_COUNTS = [1, 8, 64, 256] as const
const HEAD_TYPES = ['int4', 'int8', 'f16'] as const
/** Only rows whose logits are wanted pass the head: of a prompt, the last one. */
const HEAD_TOKEN_COUNTS = [1, 8] as const
const DEPTHS = [256, 2048] as const
const PROMPT_ROWS = 256

/** Little on any machine of today, and more than the caches of most processors hold. */
const COPIES_BYTES = 128 << 20
/** As many as are worth the time that filling them takes. */
export const MOST_COPIES_BYTES: number = 512 << 20
const MAX_COPIES = 256
/** One pass should not take seconds on a slow variant. */
const MAX_PASS_MACS = 4e9

/** What `bitnet bench --kernels` times of a shape. */
export function kernelCases(shape: ModelShape, { kv, packings }: KernelCaseOptions): KernelCase[] {
  return [
    ...packings.flatMap((packing) =>
      layerProducts(shape).flatMap((product) =>
        TOKEN_COUNTS.map((tokens) => ternaryCase(product, tokens, packing)),
      ),
    ),
    ...HEAD_TYPES.flatMap((type) =>
      HEAD_TOKEN_COUNTS.map((tokens) => headCase(shape, type, tokens)),
    ),
    ...DEPTHS.map((positions) => attentionCase(shape, positions, 1, kv)),
    ...DEPTHS.map((positions) => attentionCase(shape, positions, PROMPT_ROWS, kv)),
    quantizeCase(shape, 1),
    quantizeCase(shape, PROMPT_ROWS),
  ]
}

export interface KernelTimingOptions extends PassOptions {
  /**
   * Bytes that the copies have together, above what the caches hold; unset: 128 MiB. No
   * more than {@link MOST_COPIES_BYTES} is worth it.
   */
  readonly copiesBytes?: number | undefined
  /** Unset: 256. */
  readonly maxCopies?: number
}

/** Times one case and frees all that it allocated. */
export async function timeKernel(
  backend: Backend,
  kernel: KernelCase,
  options: KernelTimingOptions,
): Promise<KernelTiming> {
  const copies = copiesOf(kernel, options)
  const make = (allocate: Allocate) => Array.from({ length: copies }, kernel.prepare(allocate))
  const passes = await timeCommands(backend, make, options)
  const { name, bytes, macs, isTernary = false } = kernel
  const microseconds = summarize(passes.map((seconds) => (seconds / copies) * 1e6))
  const fastest = microseconds.min / 1e6
  return {
    name,
    microseconds,
    ...(bytes === 0 ? {} : { bytesPerSecond: bytes / fastest }),
    ...(macs === 0 ? {} : { macsPerSecond: macs / fastest }),
    isTernary,
  }
}

function copiesOf({ bytes, macs }: KernelCase, options: KernelTimingOptions): number {
  const { copiesBytes = COPIES_BYTES, maxCopies = MAX_COPIES } = options
  const forMemory = Math.ceil(copiesBytes / bytes)
  const forTime = Math.ceil(MAX_PASS_MACS / Math.max(1, macs))
  return Math.min(maxCopies, forMemory, forTime)
}
