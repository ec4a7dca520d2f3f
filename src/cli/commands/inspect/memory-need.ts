/**
 * The memory that a model takes when it runs: its weights, and caches by context, batch and precision.
 */

import type { GgufFile, SafetensorsFile } from '../../../formats/model-file.ts'
import type { LoadSettings, MemoryOptionName } from '../../../generate/load/load-options.ts'
import type { CacheType, DenseType, TernaryPacking } from '../../../kernels/storage.ts'
import { cacheBytesPerToken } from '../../../model/cache/kv-cache.ts'
import type { ModelConfig } from '../../../model/config/config.ts'
import { weightMemory } from '../../../model/weights/weight-memory.ts'
import { padToTile } from '../../../ternary/index.ts'

/** Of the cache, one precision; unset: f16 and int8 beside each other. */
export type MemoryOptions = Pick<LoadSettings, MemoryOptionName>

export interface MemoryNeed {
  /** Ternary weights in the packed layout, with a scale a row. */
  readonly ternaryBytes: number
  readonly packing: TernaryPacking
  /** Embedding, head and norms; for a dense model its projections, too. */
  readonly denseBytes: number
  /** How embedding and head are held. */
  readonly head: DenseType
  readonly caches: readonly { readonly kv: CacheType; readonly bytesPerToken: number }[]
  /** Weights and cache together. */
  readonly totals: readonly MemoryTotal[]
}

export interface MemoryTotal {
  /** Tokens of each sequence. */
  readonly context: number
  /** Sequences. */
  readonly batch: number
  readonly kv: CacheType
  readonly bytes: number
}

export const BATCHES: readonly number[] = [1, 4, 8]
const USUAL_CACHES: readonly CacheType[] = ['f16', 'int8']
const SHORTEST_CONTEXT = 512
/** Doubled from here on. */
const NEXT_CONTEXT = 2048

/** @throws FormatError if the file lacks a tensor */
export function memoryNeed(
  file: GgufFile | SafetensorsFile,
  config: ModelConfig,
  { kv, ...options }: MemoryOptions,
): MemoryNeed {
  const weights = weightMemory(file, config, options)
  const caches = (kv === undefined ? USUAL_CACHES : [kv]).map((type) => ({
    kv: type,
    bytesPerToken: cacheBytesPerToken(config, type),
  }))
  const weightBytes = weights.ternaryBytes + weights.denseBytes
  const totals = contextsOf(config).flatMap((context) =>
    caches.flatMap(({ kv: type, bytesPerToken }) =>
      BATCHES.map((batch) => ({
        context,
        batch,
        kv: type,
        // Kernels write whole groups of positions.
        bytes: weightBytes + batch * padToTile(context) * bytesPerToken,
      })),
    ),
  )
  return { ...weights, caches, totals }
}

/** 512, 2,048, 4,096 and so on, and the model's own length at the end. */
function contextsOf({ contextLength }: ModelConfig): number[] {
  const contexts: number[] = []
  if (contextLength > SHORTEST_CONTEXT) contexts.push(SHORTEST_CONTEXT)
  for (let n = NEXT_CONTEXT; n < contextLength; n *= 2) contexts.push(n)
  return [...contexts, contextLength]
}
