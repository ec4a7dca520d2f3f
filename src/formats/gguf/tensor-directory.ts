/**
 * The tensor directory: names, shapes, types and places, checked against each other and the file.
 */
import { FormatError } from '../../errors.ts'
import type { ByteSource, TensorInfo } from '../model-file.ts'
import { BLOCK_SIZES, elementCount, lengthOf } from '../tensor-types.ts'
import type { HeaderReader } from './header-reader.ts'
import { describeTypeId, type GgufTensorType, SHARED_IDS, sizeNote, typeById } from './type-ids.ts'

/** ggml's own limit. */
const MAX_DIMENSIONS = 4
/** The specification allows 64; longer names exist in the wild. */
const MAX_TENSOR_NAME_BYTES = 1024

/** A directory entry as it stands in the file. */
interface DirectoryEntry {
  readonly name: string
  readonly typeId: number
  /** Outermost first. */
  readonly shape: readonly number[]
  /** From the start of the data. */
  readonly offset: number
}

/** Reads `count` entries; shapes and offsets are below 2^53, nothing else is checked yet. */
export async function readDirectory(
  reader: HeaderReader,
  count: number,
): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = []
  const names = new Set<string>()
  for (let i = 0; i < count; i++) {
    const entry = await reader.entry(() => readEntry(reader, `tensor ${i}`))
    if (names.has(entry.name)) {
      throw reader.error(entry.name, 'Expected each tensor once, got the name twice.')
    }
    names.add(entry.name)
    entries.push(entry)
  }
  return entries
}

function readEntry(reader: HeaderReader, field: string): DirectoryEntry {
  const name = reader.string(field, MAX_TENSOR_NAME_BYTES)
  if (name === '') throw reader.error(field, 'Expected a tensor name, got an empty one.')
  const dimensions = reader.u32(name)
  if (dimensions > MAX_DIMENSIONS) {
    throw reader.error(name, `Expected at most ${MAX_DIMENSIONS} dimensions, got ${dimensions}.`)
  }
  const shape: number[] = []
  for (let d = 0; d < dimensions; d++) {
    shape.unshift(reader.count(name, Number.MAX_SAFE_INTEGER, 'elements in a dimension'))
  }
  if (shape.includes(0)) {
    throw reader.error(name, `Expected dimensions of at least 1, got [${shape}].`)
  }
  if (!Number.isSafeInteger(elementCount(shape))) {
    throw reader.error(name, `Expected fewer than 2^53 elements, got the shape [${shape}].`)
  }
  const typeId = reader.u32(name)
  const offset = reader.count(name, Number.MAX_SAFE_INTEGER, 'bytes before the tensor')
  return { name, typeId, shape, offset }
}

/**
 * Places the entries in the file: types known, spans inside the file, aligned and apart.
 *
 * @param dataStart of the tensor data in `source`, bytes
 * @returns tensors by name, in the directory's order
 */
export function placeTensors(
  source: ByteSource,
  entries: readonly DirectoryEntry[],
  dataStart: number,
  alignment: number,
): Map<string, TensorInfo> {
  const dataSize = Math.max(0, source.size - dataStart)
  const inOrder = [...entries].sort((a, b) => a.offset - b.offset)
  const placed = new Map<string, TensorInfo>()
  for (const [i, { name, typeId, shape, offset }] of inOrder.entries()) {
    const fail = (message: string) =>
      new FormatError(`${message} The file ${source.name} cannot be read as it is.`, {
        field: name,
        path: source.name,
      })
    if (offset % alignment !== 0) {
      throw fail(`Expected tensor "${name}" at a multiple of ${alignment}, got ${offset}.`)
    }
    if (offset >= dataSize) {
      throw fail(
        `Expected tensor "${name}" within ${dataSize} bytes of data, got offset ${offset}.`,
      )
    }
    const isLast = i === inOrder.length - 1
    const span = (isLast ? dataSize : inOrder[i + 1].offset) - offset
    const fits = () => sizeNote(elementCount(shape), span, alignment)
    const named = typeById(typeId)
    if (named === undefined) {
      throw fail(
        `Expected a known type for tensor "${name}", got id ${describeTypeId(typeId)} ` +
          `for [${shape}] in ${span} bytes${fits()}. ` +
          'Convert the original checkpoint to I2_S or TQ2_0 instead.',
      )
    }
    const type = named === 'Q2_0' ? groupedType(shape, span, alignment) : named
    const byteLength = lengthOf(type, shape, (why) => fail(`Tensor "${name}": ${why}`))
    // Where other types have the same id, the span must fit exactly.
    const tooLong = SHARED_IDS.includes(type) && span >= byteLength + alignment
    if (span < byteLength || tooLong) {
      throw fail(
        `Expected ${byteLength} bytes for tensor "${name}", ${type} (id ${typeId}) of ` +
          `[${shape}], but ${span} lie before ` +
          `${isLast ? 'the end of the file' : 'the next tensor'}${fits()}.`,
      )
    }
    placed.set(name, { name, type, shape, source, offset: dataStart + offset, byteLength })
  }
  return new Map(entries.map(({ name }) => [name, placed.get(name) as TensorInfo]))
}

/** Q2_0 has been written with one scale for 64 and for 128 elements: what the span fits, 64 if both. */
function groupedType(shape: readonly number[], span: number, alignment: number): GgufTensorType {
  const fits = (type: 'Q2_0' | 'Q2_0_128') => {
    const { elements, bytes } = BLOCK_SIZES[type]
    const needed = (elementCount(shape) / elements) * bytes
    return (shape.at(-1) ?? 0) % elements === 0 && span >= needed && span < needed + alignment
  }
  return !fits('Q2_0') && fits('Q2_0_128') ? 'Q2_0_128' : 'Q2_0'
}
