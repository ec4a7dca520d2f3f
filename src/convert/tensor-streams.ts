/**
 * Tensors on their way into another type: a few rows at a time, with what was lost measured.
 */
import { UsageError } from '../errors.ts'
import type { TensorToWrite } from '../formats/byte-sink.ts'
import { decodeDense, type EncodableType, encodeDense } from '../formats/dense-codecs.ts'
import { LossMeter } from '../formats/loss-meter.ts'
import type { TensorInfo, TernaryTensor } from '../formats/model-file.ts'
import { elementCount, tensorByteLength } from '../formats/tensor-types.ts'
import { countZeros, ReadWindow } from '../formats/ternary/index.ts'
import type { CommonOptions } from './conversion.ts'
import type { NamedTensor } from './named-tensors.ts'
import type { ConversionTally } from './tally.ts'

/** About this many elements are in memory at a time. */
const CHUNK_ELEMENTS = 1 << 20

/** What the streams of a conversion share. */
export interface StreamContext {
  /** Opens a ternary matrix. */
  readonly open: (entry: NamedTensor) => Promise<TernaryTensor>
  readonly tally: ConversionTally
  readonly signal: AbortSignal | undefined
}

/**
 * A dense tensor's bytes in another type, told to the tally. The same type is copied as it is. Pieces are
 * valid until the next one is asked for.
 *
 * @param shift what is added to a norm's values of the result to get those that it multiplies with
 * @throws UsageError if a value is too large for the type; the signal's reason
 */
export async function* denseStream(
  entry: NamedTensor,
  target: EncodableType,
  shift: number,
  { tally, signal }: StreamContext,
): AsyncGenerator<Uint8Array> {
  const { tensor } = entry
  const { type, shape, byteLength } = tensor
  const cols = shape.at(-1) ?? 1
  const rowBytes = tensorByteLength(type, [cols])
  const rows = byteLength / rowBytes
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / cols))
  const window = new ReadWindow(tensor)
  const loss = new LossMeter()
  // Used again for every piece: a fresh page costs as much as decoding into it.
  const isCopied = type === target && entry.shift === shift
  const room = isCopied ? 0 : Math.min(step, rows) * cols
  const [meant, kept] = [new Float32Array(room), new Float32Array(room)]
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row)
    const bytes = await window.bytes(row * rowBytes, count * rowBytes)
    signal?.throwIfAborted()
    if (isCopied) {
      yield bytes
      continue
    }
    const values = meant.subarray(0, count * cols)
    const stored = kept.subarray(0, count * cols)
    decodeDense(type, bytes, values)
    addTo(values, entry.shift)
    stored.set(values)
    addTo(stored, -shift)
    const encoded = encodeDense(target, stored)
    decodeDense(target, encoded, stored)
    addTo(stored, shift)
    loss.addAll(values, stored)
    if (!Number.isFinite(loss.relativeError)) {
      throw new UsageError(
        `Expected values that ${target} can hold in tensor "${tensor.name}", got larger ones. ` +
          'Choose another embedding type.',
      )
    }
    yield encoded
  }
  tally.wrote(target, tensorByteLength(target, shape))
  tally.dense(entry, target, loss)
}

/** Shifts all values, each rounded to float32. */
export function addTo(values: Float32Array, shift: number): void {
  if (shift === 0) return
  for (let i = 0; i < values.length; i++) values[i] += shift
}

/** Whether all values of a small tensor, such as a norm, are values of another type as well. */
export async function holdsExactly(tensor: TensorInfo, type: EncodableType): Promise<boolean> {
  const values = new Float32Array(elementCount(tensor.shape))
  decodeDense(tensor.type, await tensor.source.read(tensor.offset, tensor.byteLength), values)
  const stored = new Float32Array(values.length)
  decodeDense(type, encodeDense(type, values), stored)
  return values.every((value, i) => value === stored[i])
}

/** How a ternary matrix is stored. */
interface TernaryTarget {
  readonly type: string
  readonly encode: (tensor: TernaryTensor) => AsyncIterable<Uint8Array>
  /** The scale that a reader of the result will find. */
  readonly storedScale: (scale: number) => number
}

/** A ternary matrix's bytes, read once and told to the tally. */
export async function* ternaryStream(
  entry: NamedTensor,
  { type, encode, storedScale }: TernaryTarget,
  { open, tally, signal }: StreamContext,
): AsyncGenerator<Uint8Array> {
  const opened = await open(entry)
  let zeros = 0
  const counted: TernaryTensor = {
    ...opened,
    async readCodes(row, count, out) {
      await opened.readCodes(row, count, out)
      zeros += countZeros(out.subarray(0, count * opened.cols))
    },
  }
  let bytes = 0
  signal?.throwIfAborted()
  for await (const piece of encode(counted)) {
    signal?.throwIfAborted()
    bytes += piece.length
    yield piece
  }
  tally.wrote(type, bytes)
  await tally.ternary(entry, opened, { zeros, stored: storedScale(opened.scale), to: type })
}

/** The same tensors; each reports when all its bytes have been taken. */
export function withProgress<T extends TensorToWrite>(
  tensors: readonly T[],
  { onProgress, signal }: CommonOptions,
): T[] {
  const totalBytes = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
  let writtenBytes = 0
  return tensors.map((tensor) => ({
    ...tensor,
    async *data() {
      signal?.throwIfAborted()
      yield* tensor.data()
      writtenBytes += tensor.byteLength
      onProgress?.({ writtenBytes, totalBytes, tensor: tensor.name })
    },
  }))
}
