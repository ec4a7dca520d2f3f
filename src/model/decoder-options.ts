/** What a decoder is opened with. */
import type { CacheType } from '../kernels/storage.ts'
import type { FfnWatch, MatmulPrecision } from './forward.ts'

export interface DecoderOptions {
  /** Most rows in one pass; unset: 128, with AMX 256, or the context if that is less. */
  readonly maxRows?: number | undefined
  /** Most tokens that are drawn one after another at once; unset: what the backend likes. */
  readonly maxSteps?: number | undefined
  /**
   * Precision of keys and values. Unset: f16, whose rounding, which int8 activations turn into steps,
   * moves logits by up to two hundredths of the largest. f32 agrees with the published float32
   * results, dense products of the highest precision provided; int8 and int4 save memory and time in
   * long contexts.
   */
  readonly cacheType?: CacheType | undefined
  /**
   * Bytes that the cache may take. Unset: 1 GiB, or a quarter of the machine's memory where memory takes room
   * only when it is used; or what one sequence as long as the context takes, where that is more.
   */
  readonly cacheMemory?: number | undefined
  /** Bytes of the machine's memory, where that is known. */
  readonly machineMemory?: number | undefined
  /** Of dense products' inputs; unset: 'high'. */
  readonly matmulPrecision?: MatmulPrecision | undefined
  readonly watch?: FfnWatch | undefined
}
