/**
 * Opens GGUF files, versions 2 and 3, little-endian: magic, counts, metadata, tensor directory. Tensor
 * data is not read. Layout: the GGUF specification of ggml (docs/gguf.md there).
 *
 * A header is read before anything in it can be trusted, so each count is held against a limit and
 * against the bytes that the file really has.
 */
import { FormatError } from '../../errors.ts'
import { foreignContent, TELLING_BYTES } from '../foreign-content.ts'
import type { ByteSource, GgufFile, GgufValue } from '../model-file.ts'
import { HeaderReader } from './header-reader.ts'
import { readMetadata } from './metadata.ts'
import { placeTensors, readDirectory } from './tensor-directory.ts'

/** "GGUF" read as a little-endian word. */
export const GGUF_MAGIC = 0x46554747

/** Real files have under 100 keys. */
const MAX_METADATA_KEYS = 1 << 16
/** A 512-expert mixture with one tensor per expert and layer stays below. */
const MAX_TENSORS = 1 << 18
/** Key, type and shortest value: 8 + 4 + 1 bytes. */
const MIN_METADATA_ENTRY_BYTES = 13
/** Name length, number of dimensions, type and offset: 8 + 4 + 4 + 8 bytes. */
const MIN_TENSOR_ENTRY_BYTES = 24
/** Alignment is a power of two; 32 everywhere so far. */
const MIN_ALIGNMENT = 8
const MAX_ALIGNMENT = 1 << 16
export const DEFAULT_ALIGNMENT = 32

/**
 * Reads the header of a GGUF file.
 *
 * @throws FormatError whose `field` names the header field, metadata key or tensor at fault
 */
export async function parseGguf(source: ByteSource): Promise<GgufFile> {
  const foreign = foreignContent(await source.read(0, Math.min(source.size, TELLING_BYTES)), 'gguf')
  if (foreign !== '') {
    throw new FormatError(`Expected a GGUF file at ${source.name}, got something else.${foreign}`, {
      field: 'magic',
      path: source.name,
    })
  }
  const reader = new HeaderReader(source)
  const version = await reader.entry(() => {
    const magic = reader.u32('magic')
    if (magic !== GGUF_MAGIC) {
      throw reader.error('magic', 'Expected the letters GGUF at the start, got something else.')
    }
    return checkVersion(source, reader.u32('version'))
  })
  const [tensorCount, keyCount] = await reader.entry(() => [
    reader.count('tensor count', MAX_TENSORS, 'tensors'),
    reader.count('metadata count', MAX_METADATA_KEYS, 'metadata keys'),
  ])
  const least = tensorCount * MIN_TENSOR_ENTRY_BYTES + keyCount * MIN_METADATA_ENTRY_BYTES
  if (least > reader.bytesLeft) {
    throw reader.error(
      'tensor count',
      `Expected at least ${least} bytes for ${tensorCount} tensors and ${keyCount} keys, ` +
        `but ${reader.bytesLeft} are left.`,
    )
  }
  const { values: metadata, types: valueTypes } = await readMetadata(reader, keyCount)
  const alignment = readAlignment(source, metadata.get('general.alignment'))
  const entries = await readDirectory(reader, tensorCount)
  const dataStart = Math.ceil(reader.position / alignment) * alignment
  const { tensors, unread } = placeTensors(source, entries, dataStart, alignment)
  return {
    format: 'gguf',
    name: source.name,
    version,
    alignment,
    metadata,
    valueTypes,
    tensors,
    unread,
    close: () => source.close(),
  }
}

function checkVersion(source: ByteSource, version: number): number {
  if (version === 2 || version === 3) return version
  const facts = { field: 'version', path: source.name }
  if (version !== 0 && (version & 0xffff) === 0) {
    throw new FormatError(
      `Expected a little-endian GGUF, but ${source.name} is written for big-endian machines. ` +
        'Convert it with gguf-py or take the little-endian file.',
      facts,
    )
  }
  throw new FormatError(
    `Expected GGUF version 2 or 3, got ${version} in ${source.name}. ` +
      (version === 1
        ? 'Version 1 is from before October 2023; convert the original checkpoint again.'
        : 'The file is damaged, or made by a newer program.'),
    facts,
  )
}

function readAlignment(source: ByteSource, value: GgufValue | undefined): number {
  if (value === undefined) return DEFAULT_ALIGNMENT
  const legal =
    typeof value === 'number' &&
    value >= MIN_ALIGNMENT &&
    value <= MAX_ALIGNMENT &&
    Number.isInteger(Math.log2(value))
  if (legal) return value
  throw new FormatError(
    `Expected a power of two from ${MIN_ALIGNMENT} to ${MAX_ALIGNMENT} for general.alignment, ` +
      `got ${typeof value === 'object' ? 'an array' : `${value}`} in ${source.name}.`,
    { field: 'general.alignment', path: source.name },
  )
}
