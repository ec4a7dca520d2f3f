/**
 * How much memory a model will take, known before a backend is opened: WebAssembly has two kinds of
 * memory, and the choice cannot be changed later.
 */

import type { ModelFile } from '../../formats/model-file.ts'
import type { CacheType } from '../../kernels/storage.ts'
import { padToTile } from '../../ternary/index.ts'
import type { ModelConfig } from '../config/config.ts'
import { weightMemory } from '../weights/weight-memory.ts'
import { cacheBytesPerToken } from './kv-cache.ts'

/**
 * Positions of the cache that count. Many models name far longer contexts, most of which is never used;
 * who uses it can ask for the memory.
 */
const COUNTED_POSITIONS = 8192

/**
 * Bytes of the weights as they will be loaded, and of a cache for one sequence of the model's context,
 * or of 8,192 positions if that is longer. Activations, some megabytes, are not in it.
 *
 * @throws FormatError if the file lacks a tensor
 */
export function estimateMemory(
  file: ModelFile,
  config: ModelConfig,
  options: Parameters<typeof weightMemory>[2] & { readonly kv?: CacheType | undefined },
): number {
  const { ternaryBytes, denseBytes } = weightMemory(file, config, options)
  const positions = padToTile(Math.min(config.contextLength, COUNTED_POSITIONS))
  const cacheBytes = positions * cacheBytesPerToken(config, options.kv ?? 'f16')
  return ternaryBytes + denseBytes + cacheBytes
}
