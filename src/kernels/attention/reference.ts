/**
 * Causal attention with grouped queries (Ainslie et al. 2023) over the KV cache: a row at position p
 * attends to positions 0..p of its slot; query head h reads key and value head h / (nHeads / nKvHeads).
 *
 *   out = sum over positions of softmax(k.q / sqrt(headDim)) v
 *
 * Halves are multiplied by short floats (shortFloat): queries and softmax weights are rounded to 13 bits,
 * weights before they are summed too, so that they still add up to one. Products are then exact, and
 * fused and separate additions give the same bits. A weight below 2^-100 of the largest is zero.
 *
 * With a window w only the last w of these positions count (Mistral, Gemma 3): the weight of all others
 * is zero, and chunks without any are left out.
 *
 * Positions go in chunks of ATTENTION_CHUNK, each with its own maximum M, sum of exponentials S and
 * weighted values O; chunks are merged in order, rescaled to the larger maximum (the online softmax of
 * Milakov and Gimelshein 2018). So chunks may be computed at the same time and still give these bits.
 */
import { type SplitToken, splitToken } from '../dense-matmul/reference.ts'
import { exp32, LANES, shortFloat, sumLanes } from '../float32.ts'
import { STEP, STEP_WORDS } from '../step.ts'
import type { CacheType } from '../storage.ts'
import {
  type CachedVector,
  type CacheMemory,
  emptyVector,
  placeOf,
  readVector,
  type TableMemory,
} from './cache-codec.ts'
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
  readonly table: TableMemory
  readonly slot: number
  readonly head: number
  readonly vector: CachedVector
}

/**
 * The product of a query with a stored key. With codes the query is split into two planes of int8
 * (dense-matmul/reference.ts), so that all sums are exact; c . q = 256 c . high + c . low.
 *
 *   int8   (c . q) (s unit)
 *   int4   the sum over groups, in order, of (c . q) (s unit) + ((sum of q) unit) o
 */
function keyProduct(
  q: Float32Array,
  split: SplitToken,
  key: CachedVector,
  type: CacheType,
): number {
  const { elements, scales, offsets } = key
  const headDim = q.length
  let total = 0
  if (type === 'f32' || type === 'f16') {
    for (let d = 0; d < headDim; d++) total = f(total + f(elements[d] * q[d]))
    return total
  }
  const { high, low, unit } = split
  for (let group = 0; group < scales.length; group++) {
    const first = group * INT4_GROUP
    const last = type === 'int8' ? headDim : Math.min(first + INT4_GROUP, headDim)
    const sums = { high: 0, low: 0, ofHigh: 0, ofLow: 0 }
    for (let d = first; d < last; d++) {
      sums.high += elements[d] * high[d]
      sums.low += elements[d] * low[d]
      sums.ofHigh += high[d]
      sums.ofLow += low[d]
    }
    const dot = f(joined(sums.high, sums.low) * f(scales[group] * unit))
    if (type === 'int8') return dot
    const sum = f(joined(sums.ofHigh, sums.ofLow) * unit)
    total = f(total + f(dot + f(sum * offsets[group])))
  }
  return total
}

/** Two integer sums as one number, rounded once: of 256 codes at most 256 * 127 * 32512 < 2^31. */
function joined(high: number, low: number): number {
  return f(256 * high + low)
}

/**
 * Scores, softmax and weighted values of positions [first, first + count), at most one chunk; those
 * before `start` weigh nothing.
 */
function attendChunk(
  part: ChunkState,
  scores: Float32Array,
  q: Float32Array,
  { cache, table, slot, head, vector }: HeadCache,
  first: number,
  count: number,
  start: number,
): void {
  const { type = 'f16', headDim } = cache
  const scale = f(1 / Math.sqrt(headDim))
  const split = splitToken(q)
  part.max = -Infinity
  for (let i = 0; i < count; i++) {
    readVector(vector, cache, 'keys', placeOf(table, slot, head, first + i))
    const isHidden = first + i < start
    scores[i] = isHidden ? -Infinity : keyProduct(q, split, vector, type) * scale
    part.max = Math.max(part.max, scores[i])
  }
  const lanes = new Float32Array(LANES)
  const values: CachedVector[] = []
  for (let i = 0; i < count; i++) {
    const weight = first + i < start ? 0 : exp32(f(scores[i] - part.max))
    scores[i] = type === 'f16' ? shortFloat(weight) : weight
    lanes[i & 15] = lanes[i & 15] + scores[i]
    const value = emptyVector(cache)
    readVector(value, cache, 'values', placeOf(table, slot, head, first + i))
    values.push(value)
  }
  part.sum = sumLanes(lanes)
  part.values.fill(0)
  const weights = scores.subarray(0, count)
  if (type === 'int8' || type === 'int4') weighCodes(part.values, weights, values, type)
  else weighFloats(part.values, weights, values)
}

/** out = sum of weight * value, positions in order. */
function weighFloats(out: Float32Array, weights: Float32Array, values: CachedVector[]): void {
  for (const [i, weight] of weights.entries()) {
    const { elements } = values[i]
    for (let d = 0; d < out.length; d++) out[d] = out[d] + f(weight * elements[d])
  }
}

/**
 * The same with codes, exactly: weight * scale of all positions is split into two planes of int8.
 *
 *   int8   (w . c) unit       with w = weight * scale
 *   int4   (w . c) unit + the sum of weight * offset, in lanes
 */
function weighCodes(
  out: Float32Array,
  weights: Float32Array,
  values: CachedVector[],
  type: CacheType,
): void {
  for (let group = 0; group < values[0].scales.length; group++) {
    const first = group * INT4_GROUP
    const last = type === 'int8' ? out.length : Math.min(first + INT4_GROUP, out.length)
    const lanes = new Float32Array(LANES)
    for (const [i, { offsets }] of values.entries()) {
      lanes[i & 15] = lanes[i & 15] + f(weights[i] * offsets[group])
    }
    const shift = sumLanes(lanes)
    const { high, low, unit } = splitToken(weights.map((w, i) => w * values[i].scales[group]))
    for (let d = first; d < last; d++) {
      let highSum = 0
      let lowSum = 0
      for (const [i, { elements }] of values.entries()) {
        highSum += elements[d] * high[i]
        lowSum += elements[d] * low[i]
      }
      const dot = f(joined(highSum, lowSum) * unit)
      out[d] = type === 'int8' ? dot : dot + shift
    }
  }
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
 * @param table where sequences are in it
 * @param step (rows, 4): token, slot, position, 0
 * @param window positions that a row looks at, its own included; 0 for all
 */
export function attention(
  out: Float32Array,
  qkv: Float32Array,
  cache: CacheMemory,
  table: TableMemory,
  step: Int32Array,
  rows: number,
  nHeads: number,
  window = 0,
): void {
  const { nKvHeads, headDim, type = 'f16' } = cache
  const stride = (nHeads + 2 * nKvHeads) * headDim
  const group = nHeads / nKvHeads
  const scores = new Float32Array(ATTENTION_CHUNK)
  const vector = emptyVector(cache)
  const total: ChunkState = { max: 0, sum: 0, values: new Float32Array(headDim) }
  const next: ChunkState = { max: 0, sum: 0, values: new Float32Array(headDim) }
  for (let row = 0; row < rows; row++) {
    const slot = step[row * STEP_WORDS + STEP.slot]
    const positions = step[row * STEP_WORDS + STEP.position] + 1
    for (let head = 0; head < nHeads; head++) {
      const from = row * stride + head * headDim
      const whole = qkv.subarray(from, from + headDim)
      const q = type === 'f16' ? whole.map(shortFloat) : whole
      const kvHead = Math.floor(head / group)
      const place = { cache, table, slot, head: kvHead, vector }
      const start = window > 0 ? Math.max(0, positions - window) : 0
      const begin = start - (start % ATTENTION_CHUNK)
      for (let first = begin; first < positions; first += ATTENTION_CHUNK) {
        const count = Math.min(ATTENTION_CHUNK, positions - first)
        attendChunk(first === begin ? total : next, scores, q, place, first, count, start)
        if (first > begin) merge(total, next)
      }
      const target = (row * nHeads + head) * headDim
      for (let d = 0; d < headDim; d++) out[target + d] = total.values[d] / total.sum
    }
  }
}
