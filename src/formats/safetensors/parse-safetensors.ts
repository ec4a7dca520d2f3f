/**
 * Opens safetensors files: u64 header length, JSON header, then the tensors' bytes without gaps.
 * Checks are those of the format's own library, and a few more. Data is not read.
 */
import { isObject, isWhole, type JsonObject, messageOf } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { foreignContent, TELLING_BYTES } from '../foreign-content.ts'
import { MAX_JSON_MARKS, parseJson } from '../json-text.ts'
import type {
  ByteSource,
  SafetensorsFile,
  TensorInfo,
  TensorType,
  UnreadTensor,
} from '../model-file.ts'

/** The limit of the format's own library. */
const MAX_HEADER_BYTES = 100_000_000
/** No framework goes further. */
const MAX_DIMENSIONS = 8

/** Types that are read, which have the same names here. */
const READ_TYPES = ['F64', 'F32', 'F16', 'BF16', 'U8'] as const satisfies readonly TensorType[]

/** Types by the bytes of an element. Those of less than a byte are not listed; their spans go unchecked. */
const TYPES_BY_BYTES: Readonly<Record<number, readonly string[]>> = {
  1: ['I8', 'U8', 'BOOL', 'F8_E4M3', 'F8_E5M2'],
  2: ['F16', 'BF16', 'I16', 'U16'],
  4: ['F32', 'I32', 'U32'],
  8: ['F64', 'I64', 'U64'],
}
const ELEMENT_BYTES: ReadonlyMap<string, number> = new Map(
  Object.entries(TYPES_BY_BYTES).flatMap(([bytes, types]) => {
    return types.map((type) => [type, Number(bytes)] as const)
  }),
)

interface ParsedSafetensors extends SafetensorsFile {
  readonly unread: ReadonlyMap<string, UnreadTensor>
  /** The header's `__metadata__`; only its string values. */
  readonly metadata: ReadonlyMap<string, string>
}

interface Entry extends Omit<UnreadTensor, 'note'> {
  readonly begin: number
  readonly end: number
}

/**
 * Reads the header of one safetensors file.
 *
 * @param config the model's config.json, passed through
 * @throws FormatError whose `field` is "header length", "header" or the tensor at fault
 */
export async function parseSafetensors(
  source: ByteSource,
  config: JsonObject = {},
): Promise<ParsedSafetensors> {
  const header = await readHeader(source)
  const dataStart = 8 + header.length
  const entries: Entry[] = []
  const metadata = new Map<string, string>()
  for (const [name, value] of Object.entries(header.json)) {
    if (name === '__metadata__') {
      if (!isObject(value)) throw fail(source, name, 'Expected an object of strings.')
      for (const [key, text] of Object.entries(value)) {
        if (typeof text === 'string') metadata.set(key, text)
      }
    } else {
      entries.push(readEntry(source, name, value))
    }
  }
  checkSpans(source, entries, source.size - dataStart)

  const tensors = new Map<string, TensorInfo>()
  const unread = new Map<string, UnreadTensor>()
  for (const { name, type: stored, shape, begin, byteLength } of entries) {
    const type = READ_TYPES.find((known) => known === stored)
    if (type === undefined) unread.set(name, { name, type: stored, shape, byteLength, note: '' })
    else tensors.set(name, { name, type, shape, source, offset: dataStart + begin, byteLength })
  }
  return {
    format: 'safetensors',
    name: source.name,
    config,
    tensors,
    unread,
    metadata,
    close: () => source.close(),
  }
}

async function readHeader(source: ByteSource): Promise<{ length: number; json: JsonObject }> {
  const field = 'header length'
  if (source.size < 8) {
    throw fail(source, field, `Expected at least 8 bytes, got ${source.size}.`)
  }
  const prefix = await source.read(0, 8)
  const claimed = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true)
  const limit = Math.min(MAX_HEADER_BYTES, source.size - 8)
  if (claimed > BigInt(limit)) {
    // Eight letters make a number that no length is.
    const isText = claimed > Number.MAX_SAFE_INTEGER
    refuseForeign(source, isText ? await startOf(source) : prefix)
    throw fail(source, field, `Expected a header of at most ${limit} bytes, got ${claimed}.`)
  }
  const length = Number(claimed)
  const bytes = await source.read(8, length)
  let json: unknown
  try {
    json = parseJson(bytes, MAX_JSON_MARKS)
  } catch (cause) {
    refuseForeign(source, await startOf(source))
    throw fail(source, 'header', `Expected ${messageOf(cause)}.`, cause)
  }
  if (!isObject(json)) throw fail(source, 'header', 'Expected a JSON object.')
  return { length, json }
}

function startOf(source: ByteSource): Promise<Uint8Array> {
  return source.read(0, Math.min(source.size, TELLING_BYTES))
}

/** @throws FormatError if it is known what the file is instead */
function refuseForeign({ name }: ByteSource, start: Uint8Array): void {
  const foreign = foreignContent(start, 'safetensors')
  if (foreign === '') return
  const message = `Expected a safetensors file at ${name}, got something else.${foreign}`
  throw new FormatError(message, { field: 'header', path: name })
}

function readEntry(source: ByteSource, name: string, value: unknown): Entry {
  const expected = (what: string) =>
    fail(source, name === '' ? 'header' : name, `Expected ${what}.`)
  if (!isObject(value)) throw expected(`an object for tensor "${name}"`)
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string') {
    throw expected(`a dtype for tensor "${name}", got ${show(dtype)}`)
  }
  if (!isListOfCounts(shape) || shape.length > MAX_DIMENSIONS) {
    throw expected(`up to ${MAX_DIMENSIONS} dimensions for tensor "${name}", got ${show(shape)}`)
  }
  if (!isListOfCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw expected(`two rising data_offsets for tensor "${name}", got ${show(offsets)}`)
  }
  const [begin, end] = offsets
  const byteLength = end - begin
  const elementBytes = ELEMENT_BYTES.get(dtype)
  const needed = shape.reduce((product, n) => product * n, elementBytes ?? 0)
  if (elementBytes !== undefined && needed !== byteLength) {
    const bytes = `${needed} bytes for tensor "${name}"`
    throw expected(`${bytes}, ${dtype} of [${shape}], got ${byteLength}`)
  }
  return { name, type: dtype, shape, begin, end, byteLength }
}

/** The tensors must cover the data from its first byte to its last, each byte once. */
function checkSpans(source: ByteSource, entries: readonly Entry[], dataSize: number): void {
  const inOrder = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)
  let end = 0
  for (const { name, begin, end: next } of inOrder) {
    if (begin !== end) {
      const why = `tensors ${begin < end ? 'overlap' : 'leave a hole'}`
      const expected = `Expected tensor "${name}" at byte ${end} of the data`
      throw fail(source, name, `${expected}, got ${begin}: ${why}.`)
    }
    end = next
    if (end > dataSize) {
      const expected = `Expected tensor "${name}" within ${dataSize} bytes of data`
      throw fail(source, name, `${expected}, but it ends at ${end}.`)
    }
  }
  if (end !== dataSize) {
    throw fail(source, 'header', `Expected ${end} bytes of tensors, but ${dataSize} follow it.`)
  }
}

function isListOfCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => isWhole(n))
}

/** Foreign values are shown shortly: they may be long, deep or both. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  return typeof value === 'string' ? `"${value.slice(0, 40)}"` : typeof value
}

function fail(source: ByteSource, field: string, message: string, cause?: unknown): FormatError {
  return new FormatError(
    `${message} The safetensors header of ${source.name} is damaged; fetch the file again.`,
    { field, path: source.name, cause },
  )
}
