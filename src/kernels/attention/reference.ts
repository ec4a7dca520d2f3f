/**
 * Causal attention with grouped queries (Ainslie et al. 2023) over the KV cache: a row at position p
 * attends to positions 0..p of its slot; query head h reads key and value head h / (nHeads / nKvHeads).
 *
 *   out = sum over positions of softmax(k.q / sqrt(headDim)) v
 *
 * Positions go in chunks of ATTENTION_CHUNK, each with its own maximum M, sum of exponentials S and
 * weighted values O; chunks are merged in order, rescaled to the larger maximum (the online softmax of
 * Milakov and Gimelshein 2018). So chunks may be computed at the same time and still give these bits.
 */
import { padToTile } from '../../ternary/index.ts'
import { STEP_WORDS } from '../commands.ts'
import { float16Table } from '../float16.ts'
import { exp32, LANES, sumLanes } from '../float32.ts'
import type { CacheElements, CacheMemory } from '../rope-cache/reference.ts'
import { ATTENTION_CHUNK, keyBase, keyOffset, valueBase } from './layout.ts'

const f = Math.fround

/** What is known of some positions: maximum score, sum of exponentials, weighted values (headDim). */
interface ChunkState {
  max: number
  sum: number
  readonly values: Float32Array
}

/** Where the keys and values of one head begin. */
interface HeadPlace {
  readonly keys: number
  readonly values: number
}

/** Scores, softmax and weighted values of positions [first, first + count), at most one chunk. */
function attendChunk(
  part: ChunkState,
  scores: Float32Array,
  q: Float32Array,
  cache: CacheMemory,
  place: HeadPlace,
  first: number,
  count: number,
): void {
  const { headDim } = cache
  const { keys, values } = cache
  const table = float16Table()
  const value = (elements: CacheElements, i: number) =>
    elements instanceof Uint16Array ? table[elements[i]] : elements[i]
  const scale = f(1 / Math.sqrt(headDim))
  part.max = -Infinity
  for (let i = 0; i < count; i++) {
    let at = place.keys + keyOffset(headDim, first + i, 0)
    let dot = 0
    for (let d = 0; d < headDim; d++, at += LANES) dot = f(dot + f(value(keys, at) * q[d]))
    scores[i] = dot * scale
    part.max = Math.max(part.max, scores[i])
  }
  const lanes = new Float32Array(LANES)
  const valueStride = padToTile(headDim)
  part.values.fill(0)
  for (let i = 0; i < count; i++) {
    const e = exp32(f(scores[i] - part.max))
    lanes[i & 15] = lanes[i & 15] + e
    const at = place.values + (first + i) * valueStride
    for (let d = 0; d < headDim; d++) {
      part.values[d] = part.values[d] + f(e * value(values, at + d))
    }
  }
  part.sum = sumLanes(lanes)
}

/** Folds the next chunk into what came before it. */
function merge(total: ChunkState, next: ChunkState): void {
  const max = Math.max(total.max, next.max)
  const a = exp32(f(total.max - max))
  const b = exp32(f(next.max - max))
  total.max = max
  total.sum = f(f(total.sum * a) + f(next.sum * b))
  for (let d = 0; d < total.values.length; d++) {
    total.values[d] = f(total.values[d] * a) + f(next.values[d] * b)
  }
}

/**
 * @param out (rows, nHeads * headDim)
 * @param qkv (rows, (nHeads + 2 nKvHeads) * headDim), as rope-cache left it
 * @param cache holds each row's own position too
 * @param step (rows, 4): token, slot, position, 0
 */
export function attention(
  out: Float32Array,
  qkv: Float32Array,
  cache: CacheMemory,
  step: Int32Array,
  rows: number,
  nHeads: number,
): void {
  const { nKvHeads, headDim } = cache
  const stride = (nHeads + 2 * nKvHeads) * headDim
  const group = nHeads / nKvHeads
  const scores = new Float32Array(ATTENTION_CHUNK)
  const total: ChunkState = { max: 0, sum: 0, values: new Float32Array(headDim) }
  const next: ChunkState = { max: 0, sum: 0, values: new Float32Array(headDim) }
  for (let row = 0; row < rows; row++) {
    const slot = step[row * STEP_WORDS + 1]
    const positions = step[row * STEP_WORDS + 2] + 1
    for (let head = 0; head < nHeads; head++) {
      const q = qkv.subarray(row * stride + head * headDim, row * stride + (head + 1) * headDim)
      const kvHead = Math.floor(head / group)
      const place = { keys: keyBase(cache, slot, kvHead), values: valueBase(cache, slot, kvHead) }
      for (let first = 0; first < positions; first += ATTENTION_CHUNK) {
        const count = Math.min(ATTENTION_CHUNK, positions - first)
        attendChunk(first === 0 ? total : next, scores, q, cache, place, first, count)
        if (first > 0) merge(total, next)
      }
      const target = (row * nHeads + head) * headDim
      for (let d = 0; d < headDim; d++) out[target + d] = total.values[d] / total.sum
    }
  }
}
