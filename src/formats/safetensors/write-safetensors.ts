/**
 * Writes safetensors: tensors in the order given, each streamed. The header is padded with spaces to a
 * multiple of eight bytes, as the format's own library does.
 */
import { ShapeError } from '../../errors.ts'
import { type ByteSink, type TensorToWrite, writeTensorData } from '../byte-sink.ts'
import { elementCount } from '../tensor-types.ts'

/** Bytes of an element of each type that is written. */
export const DTYPE_BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2, U8: 1, I64: 8 } as const

/** Types that are written. */
export type SafetensorsDtype = keyof typeof DTYPE_BYTES

/** Its length follows from its type and shape. */
export interface SafetensorsTensorToWrite extends Omit<TensorToWrite, 'byteLength'> {
  readonly dtype: SafetensorsDtype
  /** Outermost first. */
  readonly shape: readonly number[]
}

/**
 * @param metadata goes to `__metadata__`; frameworks expect `format: "pt"`
 * @throws ShapeError if a tensor's data is not as long as its shape says, or a name comes twice
 * @returns bytes written
 */
export async function writeSafetensors(
  sink: ByteSink,
  tensors: readonly SafetensorsTensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<number> {
  const entries: [string, unknown][] = [['__metadata__', metadata]]
  const seen = new Set<string>(['__metadata__'])
  const sized: TensorToWrite[] = []
  let offset = 0
  for (const { name, dtype, shape, data } of tensors) {
    if (seen.has(name)) throw new ShapeError(`Expected each name once, got "${name}" twice.`)
    seen.add(name)
    const byteLength = elementCount(shape) * DTYPE_BYTES[dtype]
    entries.push([name, { dtype, shape, data_offsets: [offset, offset + byteLength] }])
    sized.push({ name, byteLength, data })
    offset += byteLength
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
  const padded = Math.ceil(json.length / 8) * 8
  const header = new Uint8Array(8 + padded).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true)
  header.set(json, 8)
  await sink.reserve?.(header.length + offset)
  await sink.write(header)
  for (const tensor of sized) await writeTensorData(sink, tensor)
  return header.length + offset
}
