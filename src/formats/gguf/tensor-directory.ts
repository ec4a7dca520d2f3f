/**
 * The tensor directory: names, shapes, types and places, checked against each other and the file.
 */
import { FormatError } from '../../errors.ts'
import type { ByteSource, TensorInfo, UnreadTensor } from '../model-file.ts'
import { BLOCK_SIZES, elementCount, lengthOf } from '../tensor-types.ts'
import type { HeaderReader } from './header-reader.ts'
import { foreignName, type GgufTensorType, isCertain, sizeNote, typeById } from './type-ids.ts'

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
  if (!Number.isSafeInteger(elementCount(shape))) {
    throw reader.error(name, `Expected fewer than 2^53 elements, got the shape [${shape}].`)
  }
  const typeId = reader.u32(name)
  const offset = reader.count(name, Number.MAX_SAFE_INTEGER, 'bytes before the tensor')
  return { name, typeId, shape, offset }
}

interface PlacedTensors {
  /** By name, in the directory's order. */
  readonly tensors: Map<string, TensorInfo>
  readonly unread: Map<string, UnreadTensor>
}

/**
 * Places the entries in the file: spans inside the file, aligned, and each as long as its type says, so
 * that no type can be taken for another of a different size.
 *
 * @param dataStart of the tensor data in `source`, bytes
 */
export function placeTensors(
  source: ByteSource,
  entries: readonly DirectoryEntry[],
  dataStart: number,
  alignment: number,
): PlacedTensors {
  const dataSize = Math.max(0, source.size - dataStart)
  const placed = new Map<string, TensorInfo>()
  const unread = new Map<string, UnreadTensor>()
  const inOrder: DirectoryEntry[] = []
  for (const entry of entries) {
    const { name, typeId, shape } = entry
    if (!shape.includes(0)) {
      inOrder.push(entry)
      continue
    }
    // It has no bytes, wherever it is said to be.
    const type = typeById(typeId) ?? foreignName(typeId) ?? `type ${typeId}`
    unread.set(name, { name, type, shape, byteLength: 0, note: ', without elements' })
  }
  inOrder.sort((a, b) => a.offset - b.offset)
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
      const type = foreignName(typeId) ?? `type ${typeId}`
      const note = `, id ${typeId} in ${span} bytes${isCertain(typeId) ? '' : fits()}`
      unread.set(name, { name, type, shape, byteLength: span, note })
      continue
    }
    const type = named === 'Q2_0' ? groupedType(shape, span, alignment) : named
    const byteLength = lengthOf(type, shape, (why) => fail(`Tensor "${name}": ${why}`))
    if (span < byteLength || span >= byteLength + alignment) {
      throw fail(
        `Expected ${byteLength} bytes for tensor "${name}", ${type} (id ${typeId}) of ` +
          `[${shape}], but ${span} lie before ` +
          `${isLast ? 'the end of the file' : 'the next tensor'}${fits()}.`,
      )
    }
    placed.set(name, { name, type, shape, source, offset: dataStart + offset, byteLength })
  }
  const inDirectoryOrder = entries.flatMap(({ name }) => placed.get(name) ?? [])
  return { tensors: new Map(inDirectoryOrder.map((tensor) => [tensor.name, tensor])), unread }
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
