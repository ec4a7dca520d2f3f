/**
 * Writes GGUF version 3, alignment 32: the header first, then the tensors in the order given, each
 * streamed. Nothing but the header is held in memory.
 */
import { ShapeError } from '../../errors.ts'
import { type ByteSink, type TensorToWrite, writeTensorData } from '../byte-sink.ts'
import { tensorByteLength } from '../tensor-types.ts'
import { HeaderWriter } from './header-writer.ts'
import { DEFAULT_ALIGNMENT, GGUF_MAGIC } from './parse-gguf.ts'
import { GGUF_TYPE_IDS, type GgufTensorType } from './type-ids.ts'
import type { GgufTypedValue } from './value-types.ts'

export interface GgufTensorToWrite extends TensorToWrite {
  readonly type: GgufTensorType
  /** Outermost first: (rows, cols) for a matrix. */
  readonly shape: readonly number[]
}

/** All of a file. */
export interface GgufContent {
  /** Written in this order. */
  readonly metadata: Iterable<readonly [string, GgufTypedValue]>
  readonly tensors: readonly GgufTensorToWrite[]
}

/**
 * @throws ShapeError if a tensor's type, shape, length and data do not agree, or a name comes twice
 * @returns bytes written
 */
export async function writeGguf(sink: ByteSink, content: GgufContent): Promise<number> {
  const metadata = [...content.metadata]
  const header = new HeaderWriter()
  header.u32(GGUF_MAGIC)
  header.u32(3)
  header.u64(content.tensors.length)
  header.u64(metadata.length)
  for (const [key, value] of metadata) {
    header.string(key)
    header.type(value.type)
    header.value(value)
  }
  let offset = 0
  for (const tensor of content.tensors) {
    checkTensor(tensor)
    header.string(tensor.name)
    header.u32(tensor.shape.length)
    for (const n of [...tensor.shape].reverse()) header.u64(n)
    header.u32(GGUF_TYPE_IDS[tensor.type])
    header.u64(offset)
    offset += align(tensor.byteLength)
  }
  checkUnique(metadata.map(([key]) => key))
  checkUnique(content.tensors.map((tensor) => tensor.name))
  header.zeros(align(header.length) - header.length)
  await sink.reserve?.(header.length + offset)
  await sink.write(header.bytes())
  for (const tensor of content.tensors) {
    await writeTensorData(sink, tensor)
    const padding = align(tensor.byteLength) - tensor.byteLength
    if (padding > 0) await sink.write(new Uint8Array(padding))
  }
  return header.length + offset
}

function align(n: number): number {
  return Math.ceil(n / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT
}

function checkTensor(tensor: GgufTensorToWrite): void {
  const needed = tensorByteLength(tensor.type, tensor.shape)
  if (tensor.byteLength === needed && tensor.shape.every((n) => n > 0)) return
  throw new ShapeError(
    `Expected ${needed} bytes for tensor "${tensor.name}", ${tensor.type} of ` +
      `[${tensor.shape}], got ${tensor.byteLength}.`,
  )
}

function checkUnique(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) throw new ShapeError(`Expected each name once, got "${name}" twice.`)
    seen.add(name)
  }
}
