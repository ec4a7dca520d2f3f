/**
 * Times single operations on a backend: one list of copies of the same command, run again and again.
 */

import type { Backend } from '../backends/backend.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'
import type { CacheType, TernaryPacking } from '../kernels/storage.ts'
import { fillBuffer } from './fill-buffer.ts'
import {
  type Allocate,
  attentionCase,
  headCase,
  type KernelCase,
  quantizeCase,
  ternaryCase,
} from './kernel-cases.ts'
import { type PassOptions, timeProgram } from './pass-timing.ts'
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

/** More than the caches of a processor hold, little on any machine of today. */
const COPIES_BYTES = 128 << 20
const MAX_COPIES = 64
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

/** Times one case and frees all that it allocated. */
export async function timeKernel(
  backend: Backend,
  kernel: KernelCase,
  options: PassOptions & { readonly maxCopies?: number },
): Promise<KernelTiming> {
  const buffers: DeviceBuffer[] = []
  try {
    const next = kernel.prepare(allocator(backend, buffers))
    const copies = Math.min(copiesOf(kernel), options.maxCopies ?? MAX_COPIES)
    const program = await backend.record(Array.from({ length: copies }, next))
    try {
      const passes = await timeProgram(backend, program, options)
      return timingOf(
        kernel,
        passes.map((seconds) => seconds / copies),
      )
    } finally {
      program.dispose()
    }
  } finally {
    for (const buffer of buffers) backend.free(buffer)
  }
}

function copiesOf({ bytes, macs }: KernelCase): number {
  const forMemory = Math.ceil(COPIES_BYTES / bytes)
  const forTime = Math.ceil(MAX_PASS_MACS / Math.max(1, macs))
  return Math.min(MAX_COPIES, forMemory, forTime)
}

function timingOf(
  { name, bytes, macs, isTernary = false }: KernelCase,
  seconds: readonly number[],
): KernelTiming {
  const microseconds = summarize(seconds.map((s) => s * 1e6))
  const fastest = microseconds.min / 1e6
  return {
    name,
    microseconds,
    ...(bytes === 0 ? {} : { bytesPerSecond: bytes / fastest }),
    ...(macs === 0 ? {} : { macsPerSecond: macs / fastest }),
    isTernary,
  }
}

/** Remembers what it allocates in `buffers`. */
function allocator(backend: Backend, buffers: DeviceBuffer[]): Allocate {
  return (byteLength, label, fill, use = 'state') => {
    const buffer =
      typeof fill === 'object'
        ? backend.allocateIndices(fill.values.length / fill.columns.length, fill.columns, label)
        : backend.allocate(byteLength, label, use)
    buffers.push(buffer)
    if (typeof fill === 'object') backend.write(buffer, 0, new Uint8Array(fill.values.buffer))
    else fillBuffer(backend, buffer, fill)
    return buffer
  }
}
