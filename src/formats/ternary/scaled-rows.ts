/**
 * Codes from float weights by other rules than absmean (master-weights.ts).
 *
 * Scaled rows: each row holds only -s, 0 and +s with an s of its own, as TriLM's unpacked checkpoints
 * have one for each of a few groups of rows (Kaushal et al. 2024). Codes and scales are taken as they are.
 *
 * Binary: BitNet b1 (Wang et al. 2023, section 2.1) has code = sign(w - mean) and scale = mean|w|, both
 * over the whole tensor.
 */
import { decodeDense } from '../dense-codecs.ts'
import { asFloat32 } from '../float-codecs.ts'
import type { TensorInfo } from '../model-file.ts'
import { BLOCK_SIZES, elementCount } from '../tensor-types.ts'
import type { CodeReader } from './block-readers.ts'
import { ReadWindow } from './read-window.ts'
import { notFinite } from './tensor-damage.ts'

/** About this many weights are decoded at a time. */
const CHUNK_WEIGHTS = 1 << 20

interface ScaledRows extends CodeReader {
  /** One a row; a row of zeros has the largest. */
  readonly rowScales: Float32Array
}

/**
 * Opens a tensor of scaled rows.
 *
 * @param limit rows to look at; unset: all
 * @returns undefined if a row holds two magnitudes, or no row holds any
 */
export async function openScaledRows(
  tensor: TensorInfo,
  limit: number = tensor.shape[0],
): Promise<ScaledRows | undefined> {
  const [rows, cols] = tensor.shape
  const rowScales = new Float32Array(rows)
  for await (const { first, weights } of floatRows(tensor, Math.min(limit, rows))) {
    for (let r = 0; r * cols < weights.length; r++) {
      const scale = onlyMagnitude(weights.subarray(r * cols, (r + 1) * cols))
      if (scale === undefined) return undefined
      rowScales[first + r] = scale
    }
  }
  const scale = rowScales.reduce((most, s) => Math.max(most, s), 0)
  if (scale === 0) return undefined
  for (let r = 0; r < rows; r++) if (rowScales[r] === 0) rowScales[r] = scale
  return { scale, rowScales, readCodes: floatReader(tensor, signs) }
}

/** Rows of a tensor that tell whether it is one of scaled rows. */
const TOLD_ROWS = 64

/** Whether the first rows of a tensor of floats are ternary, each with a scale of its own. */
export async function isTernaryAlready(tensor: TensorInfo): Promise<boolean> {
  const isFloat = tensor.type === 'F32' || tensor.type === 'F16' || tensor.type === 'BF16'
  return isFloat && (await openScaledRows(tensor, TOLD_ROWS)) !== undefined
}

/** @throws FormatError on weights that are not finite */
export async function openBinary(tensor: TensorInfo): Promise<CodeReader> {
  let sum = 0
  let magnitude = 0
  for await (const { weights } of floatRows(tensor)) {
    for (let i = 0; i < weights.length; i++) {
      sum += weights[i]
      magnitude += Math.abs(weights[i])
    }
  }
  if (!Number.isFinite(magnitude)) throw notFinite(tensor)
  const count = elementCount(tensor.shape)
  const mean = Math.fround(sum / count)
  return {
    scale: Math.fround(magnitude / count),
    readCodes: floatReader(tensor, (out, weights) => signs(out, weights, mean)),
  }
}

/** The magnitude of all weights that are not zero, 0 if there is none; undefined if there are two. */
function onlyMagnitude(weights: Float32Array): number | undefined {
  let found = 0
  for (let i = 0; i < weights.length; i++) {
    const magnitude = Math.abs(weights[i])
    if (magnitude === found || magnitude === 0) continue
    if (found !== 0 || !Number.isFinite(magnitude)) return undefined
    found = magnitude
  }
  return found
}

/** The sign of each weight less `mean`. */
export function signs(out: Int8Array, weights: Float32Array, mean = 0): void {
  for (let i = 0; i < weights.length; i++) out[i] = Math.sign(Math.fround(weights[i] - mean))
}

/** Reads rows of floats and makes codes of them. */
export function floatReader(
  tensor: TensorInfo,
  encode: (out: Int8Array, weights: Float32Array) => void,
): CodeReader['readCodes'] {
  const window = new ReadWindow(tensor)
  return async (row, count, out) => encode(out, await decode(tensor, window, row, count))
}

/** The rows of a tensor of floats, some at a time, valid until the next are asked for. */
export async function* floatRows(
  tensor: TensorInfo,
  rows: number = tensor.shape[0],
): AsyncGenerator<{ first: number; weights: Float32Array }> {
  const step = Math.max(1, Math.floor(CHUNK_WEIGHTS / tensor.shape[1]))
  const window = new ReadWindow(tensor)
  for (let first = 0; first < rows; first += step) {
    yield { first, weights: await decode(tensor, window, first, Math.min(step, rows - first)) }
  }
}

async function decode(
  { type, shape }: TensorInfo,
  window: ReadWindow,
  row: number,
  count: number,
): Promise<Float32Array> {
  const rowBytes = shape[1] * BLOCK_SIZES[type].bytes
  const bytes = await window.bytes(row * rowBytes, count * rowBytes)
  if (type === 'F32') return asFloat32(bytes)
  const weights = new Float32Array(count * shape[1])
  decodeDense(type, bytes, weights)
  return weights
}
