/**
 * The file format of packed images. All numbers are little-endian.
 *
 *   0   "bitnetim"
 *   8   checksum of all that follows, as native/image.c defines it, uint64
 *   16  version of this format and of the packed layouts, uint32
 *   20  bytes of the manifest, uint32
 *   24  bytes of the whole file, uint64
 *   64  the manifest, JSON in UTF-8
 *       buffers, each at a multiple of 64
 *       64 bytes of zeros
 */
import { isWhole } from '../../checks.ts'
import { FormatError } from '../../errors.ts'

/** Raise it with any change of this format or of the layouts in ternary/ and kernels/dense-matmul/. */
const VERSION = 1
const MAGIC = 'bitnetim'
export const CHECKSUM_OFFSET = 8
const ALIGNMENT = 64
/** Pages are given back and shared whole; large buffers begin with one. */
const PAGE = 4096
/** What kernels may read behind a buffer. */
const TAIL_BYTES = 64
/** A thousand layers of ten matrices take 2 MB. */
const MAX_MANIFEST_BYTES = 64 << 20

export const PREAMBLE_BYTES = 64

export interface ImageManifest {
  /** What the image was made of, as text to compare. */
  readonly identity: string
  /** For lists: the model's name, its path and what was asked for. */
  readonly source: string
  readonly settings: string
  readonly tree: unknown
  readonly buffers: readonly ImageBuffer[]
}

export interface ImageBuffer {
  readonly label: string
  readonly byteOffset: number
  readonly byteLength: number
  readonly sparseBytes: number
}

/** Places buffers behind a manifest of at most `manifestRoom` bytes. */
export function placeBuffers<T extends { readonly byteLength: number }>(
  buffers: readonly T[],
  manifestRoom: number,
): { placed: (T & { readonly byteOffset: number })[]; fileBytes: number } {
  let end = PREAMBLE_BYTES + manifestRoom
  const placed = buffers.map((buffer) => {
    const unit = buffer.byteLength >= PAGE ? PAGE : ALIGNMENT
    const byteOffset = Math.ceil(end / unit) * unit
    end = byteOffset + buffer.byteLength
    return { ...buffer, byteOffset }
  })
  return { placed, fileBytes: Math.ceil(end / ALIGNMENT) * ALIGNMENT + TAIL_BYTES }
}

/** Preamble, with a checksum of 0, and manifest. */
export function encodeStart(manifest: ImageManifest, fileBytes: number): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(manifest))
  const bytes = new Uint8Array(PREAMBLE_BYTES + text.length)
  const view = new DataView(bytes.buffer)
  bytes.set(new TextEncoder().encode(MAGIC))
  view.setUint32(16, VERSION, true)
  view.setUint32(20, text.length, true)
  view.setBigUint64(24, BigInt(fileBytes), true)
  bytes.set(text, PREAMBLE_BYTES)
  return bytes
}

/** The eight bytes at {@link CHECKSUM_OFFSET}. */
export function encodeChecksum(checksum: string): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(`0x${checksum}`), true)
  return bytes
}

/** What the first {@link PREAMBLE_BYTES} say. */
export interface Preamble {
  readonly checksum: string
  readonly manifestBytes: number
}

/**
 * @param start at least the first bytes of the file, all that it has if those are fewer
 * @throws FormatError if this is no image, of another version, or cut short
 */
export function decodePreamble(start: Uint8Array, fileBytes: number, path: string): Preamble {
  const fail = (expected: string, field: string) =>
    new FormatError(`Expected ${expected} in the packed image ${path}.`, { field, path })
  if (start.length < PREAMBLE_BYTES) throw fail(`${PREAMBLE_BYTES} bytes and more`, 'size')
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength)
  const magic = new TextDecoder().decode(start.subarray(0, MAGIC.length))
  if (magic !== MAGIC) throw fail(`"${MAGIC}" at the start`, 'magic')
  const version = view.getUint32(16, true)
  if (version !== VERSION) throw fail(`version ${VERSION}, got ${version},`, 'version')
  const wholeBytes = Number(view.getBigUint64(24, true))
  if (wholeBytes !== fileBytes) throw fail(`${wholeBytes} bytes, got ${fileBytes},`, 'size')
  const manifestBytes = view.getUint32(20, true)
  if (manifestBytes > Math.min(MAX_MANIFEST_BYTES, fileBytes - PREAMBLE_BYTES)) {
    throw fail(`a shorter manifest than ${manifestBytes} bytes`, 'manifest')
  }
  const checksum = view.getBigUint64(CHECKSUM_OFFSET, true).toString(16).padStart(16, '0')
  return { checksum, manifestBytes }
}

/**
 * @param bytes the manifest alone
 * @throws FormatError if it is damaged or places a buffer outside of the file
 */
export function decodeManifest(bytes: Uint8Array, fileBytes: number, path: string): ImageManifest {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const facts = { field: 'manifest', path, cause }
    throw new FormatError(`Expected JSON as the manifest of the packed image ${path}.`, facts)
  }
  if (isManifest(value) && value.buffers.every((buffer) => isPlaced(buffer, fileBytes))) {
    return value
  }
  throw new FormatError(
    `Expected a manifest with buffers that lie in the packed image ${path}, got another one.`,
    { field: 'manifest', path },
  )
}

function isManifest(value: unknown): value is ImageManifest {
  if (typeof value !== 'object' || value === null || !('tree' in value)) return false
  const { identity, source, settings, buffers } = value as Partial<ImageManifest>
  const texts = [identity, source, settings]
  return texts.every((text) => typeof text === 'string') && Array.isArray(buffers)
}

function isPlaced(buffer: unknown, fileBytes: number): boolean {
  if (typeof buffer !== 'object' || buffer === null) return false
  const { label, byteOffset, byteLength, sparseBytes } = buffer as Record<string, unknown>
  const end = fileBytes - TAIL_BYTES
  return (
    typeof label === 'string' &&
    isWhole(byteOffset, 0, end) &&
    byteOffset % ALIGNMENT === 0 &&
    isWhole(byteLength, 0, end - byteOffset) &&
    isWhole(sparseBytes, 0, byteLength)
  )
}
