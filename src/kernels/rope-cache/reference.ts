/**
 * Rotary position embedding (Su et al. 2021) in the half-rotation form, and the write to the KV cache.
 *
 * Element i of a head turns with element i + headDim / 2: (a, b) becomes (a cos - b sin, b cos + a sin).
 * Queries and keys are rotated in place; keys and values then go to the cache, rounded to its type.
 */
import { padToTile } from '../../ternary/index.ts'
import { type CacheShape, keyBase, keyOffset, valueBase } from '../attention/layout.ts'
import { STEP_WORDS } from '../commands.ts'
import { float32ToFloat16 } from '../float16.ts'

const f = Math.fround

/** A layer's cache in memory, as attention/layout.ts lays it out. */
export interface CacheMemory extends CacheShape {
  readonly keys: CacheElements
  readonly values: CacheElements
}

/** Halves as their bits, or float32. */
export type CacheElements = Uint16Array | Float32Array

function store(elements: CacheElements, at: number, value: number): void {
  elements[at] = elements instanceof Uint16Array ? float32ToFloat16(value) : value
}

/** Rotates one head, which begins at v[first], by the angles of one position. */
function rotate(
  v: Float32Array,
  first: number,
  rotations: Float32Array,
  position: number,
  headDim: number,
): void {
  const half = headDim / 2
  const cosines = position * headDim
  const sines = cosines + half
  for (let i = 0; i < half; i++) {
    const a = v[first + i]
    const b = v[first + i + half]
    const cos = rotations[cosines + i]
    const sin = rotations[sines + i]
    v[first + i] = f(a * cos) - f(b * sin)
    v[first + i + half] = f(b * cos) + f(a * sin)
  }
}

/**
 * @param qkv (rows, (nHeads + 2 nKvHeads) * headDim): queries, keys, values
 * @param cache written at each row's slot and position
 * @param step (rows, 4): token, slot, position, 0
 * @param rotations (positions, 2, headDim / 2): cosines, then sines
 */
export function ropeCache(
  qkv: Float32Array,
  cache: CacheMemory,
  step: Int32Array,
  rotations: Float32Array,
  rows: number,
  nHeads: number,
): void {
  const { nKvHeads, headDim } = cache
  const stride = (nHeads + 2 * nKvHeads) * headDim
  const valueStride = padToTile(headDim)
  for (let row = 0; row < rows; row++) {
    const slot = step[row * STEP_WORDS + 1]
    const position = step[row * STEP_WORDS + 2]
    const first = row * stride
    for (let head = 0; head < nHeads + nKvHeads; head++) {
      rotate(qkv, first + head * headDim, rotations, position, headDim)
    }
    for (let head = 0; head < nKvHeads; head++) {
      const key = first + (nHeads + head) * headDim
      const value = key + nKvHeads * headDim
      const keyTarget = keyBase(cache, slot, head)
      const valueTarget = valueBase(cache, slot, head) + position * valueStride
      for (let d = 0; d < headDim; d++) {
        store(cache.keys, keyTarget + keyOffset(headDim, position, d), qkv[key + d])
        store(cache.values, valueTarget + d, qkv[value + d])
      }
    }
  }
}
