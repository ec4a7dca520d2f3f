/**
 * Rotary position embedding (Su et al. 2021) in the half-rotation form, and the write to the KV cache.
 *
 * Element i of a head turns with element i + headDim / 2: (a, b) becomes (a cos - b sin, b cos + a sin).
 * Models with head norms (Qwen 3, Gemma 3) first put each head of queries and keys through an RMSNorm.
 * Queries and keys are rotated in place; keys and values then go to the cache, as its type has them
 * (attention/cache-codec.ts).
 */
import {
  type CacheMemory,
  placeOf,
  type TableMemory,
  writeVector,
} from '../attention/cache-codec.ts'
import { rmsNorm } from '../rms-norm/reference.ts'
import { STEP, STEP_WORDS } from '../step.ts'

const f = Math.fround

/** RMSNorm of each head of queries and of keys: weights (headDim). */
export interface HeadNormWeights {
  readonly query: Float32Array
  readonly key: Float32Array
  readonly eps: number
}

/** Rotates one head, which begins at v[first], by the angles of one position, or back by them (-1). */
export function rotate(
  v: Float32Array,
  first: number,
  rotations: Float32Array,
  position: number,
  headDim: number,
  direction: 1 | -1 = 1,
): void {
  const half = headDim / 2
  const cosines = position * headDim
  const sines = cosines + half
  for (let i = 0; i < half; i++) {
    const a = v[first + i]
    const b = v[first + i + half]
    const cos = rotations[cosines + i]
    const sin = rotations[sines + i] * direction
    v[first + i] = f(a * cos) - f(b * sin)
    v[first + i + half] = f(b * cos) + f(a * sin)
  }
}

/**
 * @param qkv (rows, (nHeads + 2 nKvHeads) * headDim): queries, keys, values
 * @param cache written at each row's slot and position
 * @param table where sequences are in it
 * @param step (rows, 4): token, slot, position, 0
 * @param rotations (positions, 2, headDim / 2): cosines, then sines
 * @param norms of heads before rotation; undefined for none
 */
export function ropeCache(
  qkv: Float32Array,
  cache: CacheMemory,
  table: TableMemory,
  step: Int32Array,
  rotations: Float32Array,
  rows: number,
  nHeads: number,
  norms?: HeadNormWeights,
): void {
  const { nKvHeads, headDim } = cache
  const stride = (nHeads + 2 * nKvHeads) * headDim
  for (let row = 0; row < rows; row++) {
    const slot = step[row * STEP_WORDS + STEP.slot]
    const position = step[row * STEP_WORDS + STEP.position]
    const first = row * stride
    if (norms !== undefined) {
      const queries = qkv.subarray(first, first + nHeads * headDim)
      const keys = qkv.subarray(first + queries.length, first + (nHeads + nKvHeads) * headDim)
      rmsNorm(queries, queries, norms.query, nHeads, headDim, norms.eps)
      rmsNorm(keys, keys, norms.key, nKvHeads, headDim, norms.eps)
    }
    for (let head = 0; head < nHeads + nKvHeads; head++) {
      rotate(qkv, first + head * headDim, rotations, position, headDim)
    }
    for (let head = 0; head < nKvHeads; head++) {
      const key = first + (nHeads + head) * headDim
      const value = key + nKvHeads * headDim
      const place = placeOf(table, slot, head, position)
      writeVector(cache, 'keys', place, qkv.subarray(key, key + headDim))
      writeVector(cache, 'values', place, qkv.subarray(value, value + headDim))
    }
  }
}
