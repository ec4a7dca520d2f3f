/**
 * Causal attention with grouped queries (Ainslie et al. 2023) over the KV cache: a row at position p
 * attends to positions 0..p of its slot; query head h reads key and value head h / (nHeads / nKvHeads).
 *
 *   out = sum over positions of softmax(k.q / sqrt(headDim)) v
 *
 * Positions go in chunks of ATTENTION_CHUNK, each with its own maximum M, sum of exponentials S and
 * weighted values O; chunks are merged in order, rescaled to the larger maximum (the online softmax of
 * Milakov and Gimelshein 2018). So chunks may be computed at the same time and still give these bits.
 *
 * Values as codes: a position's scale goes into its weight, and int4's offsets are summed apart.
 */
import { STEP_WORDS } from '../commands.ts'
import { exp32, LANES, sumLanes } from '../float32.ts'
import { type CachedVector, type CacheMemory, emptyVector, readVector } from './cache-codec.ts'
import { ATTENTION_CHUNK, INT4_GROUP } from './layout.ts'

const f = Math.fround

/** What is known of some positions: maximum score, sum of exponentials, weighted values (headDim). */
interface ChunkState {
  max: number
  sum: number
  readonly values: Float32Array
}

/** The keys and values that a head looks at, and room for one of them. */
interface HeadCache {
  readonly cache: CacheMemory
  readonly slot: number
  readonly head: number
  readonly vector: CachedVector
}

/**
 * The product of a query with a stored key. Codes are multiplied as they are; the scale follows:
 *
 *   int8   (q . code) s
 *   int4   the sum over groups, in order, of (q . code) s + (sum of q) o
 */
function keyProduct(q: Float32Array, key: CachedVector, { type, headDim }: CacheMemory): number {
  const { elements, scales, offsets } = key
  if (type !== 'int4') {
    let dot = 0
    for (let d = 0; d < headDim; d++) dot = f(dot + f(elements[d] * q[d]))
    return type === 'int8' ? f(dot * scales[0]) : dot
  }
  let total = 0
  for (let group = 0; group < scales.length; group++) {
    const last = Math.min((group + 1) * INT4_GROUP, headDim)
    let dot = 0
    let sum = 0
    for (let d = group * INT4_GROUP; d < last; d++) {
      dot = f(dot + f(elements[d] * q[d]))
      sum = f(sum + q[d])
    }
    total = f(total + f(f(dot * scales[group]) + f(sum * offsets[group])))
  }
  return total
}

/** Scores, softmax and weighted values of positions [first, first + count), at most one chunk. */
function attendChunk(
  part: ChunkState,
  scores: Float32Array,
  q: Float32Array,
  { cache, slot, head, vector }: HeadCache,
  first: number,
  count: number,
): void {
  const { type, headDim } = cache
  const scale = f(1 / Math.sqrt(headDim))
  part.max = -Infinity
  for (let i = 0; i < count; i++) {
    readVector(vector, cache, 'keys', { slot, head, position: first + i })
    scores[i] = keyProduct(q, vector, cache) * scale
    part.max = Math.max(part.max, scores[i])
  }
  const { elements, scales, offsets } = vector
  const lanes = new Float32Array(LANES)
  // Of each group: the sum of weight times offset, in lanes.
  const shifts = Array.from(scales, () => new Float32Array(LANES))
  part.values.fill(0)
  for (let i = 0; i < count; i++) {
    const e = exp32(f(scores[i] - part.max))
    lanes[i & 15] = lanes[i & 15] + e
    readVector(vector, cache, 'values', { slot, head, position: first + i })
    for (let group = 0; group < scales.length; group++) {
      const last = type === 'int4' ? Math.min((group + 1) * INT4_GROUP, headDim) : headDim
      const weight = f(e * scales[group])
      for (let d = group * INT4_GROUP; d < last; d++) {
        part.values[d] = part.values[d] + f(weight * elements[d])
      }
      if (type === 'int4') shifts[group][i & 15] += f(e * offsets[group])
    }
  }
  part.sum = sumLanes(lanes)
  if (type !== 'int4') return
  const sums = shifts.map(sumLanes)
  for (let d = 0; d < headDim; d++) part.values[d] += sums[Math.floor(d / INT4_GROUP)]
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
  const vector = emptyVector(cache)
  const total: ChunkState = { max: 0, sum: 0, values: new Float32Array(headDim) }
  const next: ChunkState = { max: 0, sum: 0, values: new Float32Array(headDim) }
  for (let row = 0; row < rows; row++) {
    const slot = step[row * STEP_WORDS + 1]
    const positions = step[row * STEP_WORDS + 2] + 1
    for (let head = 0; head < nHeads; head++) {
      const q = qkv.subarray(row * stride + head * headDim, row * stride + (head + 1) * headDim)
      const kvHead = Math.floor(head / group)
      const place = { cache, slot, head: kvHead, vector }
      for (let first = 0; first < positions; first += ATTENTION_CHUNK) {
        const count = Math.min(ATTENTION_CHUNK, positions - first)
        attendChunk(first === 0 ? total : next, scores, q, place, first, count)
        if (first > 0) merge(total, next)
      }
      const target = (row * nHeads + head) * headDim
      for (let d = 0; d < headDim; d++) out[target + d] = total.values[d] / total.sum
    }
  }
}
