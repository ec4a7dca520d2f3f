/**
 * The file format of packed images. All numbers are little-endian.
 *
 *   0   "bitnetim"
 *   8   checksum of all that follows, as native/image.c defines it, uint64
 *   16  version of this format and of the packed layouts, uint32
 *   20  bytes of the manifest, uint32
 *   64  the manifest, JSON in UTF-8
 *       buffers in the manifest's order, each at the next multiple of 64, large ones of 4096
 *       zeros: 64 bytes, and as many as make the whole a multiple of 64
 */
import { isObject, isWhole } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import type { ByteSource } from '../../formats/model-file.ts'

/** Raise it with any change of this format, of the packed layouts, or of what describes weights. */
export const IMAGE_VERSION = 4
const MAGIC = 'bitnetim'
export const CHECKSUM_OFFSET = 8
const ALIGNMENT = 64
/** Pages are given back and shared whole; large buffers begin with one. */
const PAGE = 4096
/** What kernels may read behind a buffer. */
const TAIL_BYTES = 64
/** A thousand layers of ten matrices take 2 MB. */
const MAX_MANIFEST_BYTES = 64 << 20
const PREAMBLE_BYTES = 64

export interface ImageManifest {
  /** What the image was made of, as text to compare. */
  readonly identity: string
  /** For lists: the model's name, its path and what was asked for. */
  readonly source: string
  readonly settings: string
  readonly tree: unknown
  readonly buffers: readonly ImageBuffer[]
}

interface ImageBuffer {
  readonly label: string
  readonly byteLength: number
  readonly sparseBytes: number
}

export interface PlacedBuffer extends ImageBuffer {
  readonly byteOffset: number
}

interface Placement {
  readonly ranges: readonly PlacedBuffer[]
  readonly fileBytes: number
}

/** Where the buffers of a manifest of so many bytes lie. */
function placeBuffers(buffers: readonly ImageBuffer[], manifestBytes: number): Placement {
  let end = PREAMBLE_BYTES + manifestBytes
  const ranges = buffers.map((buffer) => {
    const unit = buffer.byteLength >= PAGE ? PAGE : ALIGNMENT
    const byteOffset = Math.ceil(end / unit) * unit
    end = byteOffset + buffer.byteLength
    return { ...buffer, byteOffset }
  })
  return { ranges, fileBytes: Math.ceil(end / ALIGNMENT) * ALIGNMENT + TAIL_BYTES }
}

/** Preamble, with a checksum of 0, and manifest; and what comes where behind them. */
export function encodeStart(manifest: ImageManifest): Placement & { readonly start: Uint8Array } {
  const text = new TextEncoder().encode(JSON.stringify(manifest))
  const start = new Uint8Array(PREAMBLE_BYTES + text.length)
  const view = new DataView(start.buffer)
  start.set(new TextEncoder().encode(MAGIC))
  view.setUint32(16, IMAGE_VERSION, true)
  view.setUint32(20, text.length, true)
  start.set(text, PREAMBLE_BYTES)
  return { start, ...placeBuffers(manifest.buffers, text.length) }
}

/** The eight bytes at {@link CHECKSUM_OFFSET}. */
export function encodeChecksum(checksum: string): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(`0x${checksum}`), true)
  return bytes
}

/**
 * What an image says of itself. Whether its checksum holds is the caller's to find out.
 *
 * @throws FormatError if this is no image, of another version, cut short, or visibly damaged
 */
export async function readStart(
  source: ByteSource,
): Promise<Placement & { readonly manifest: ImageManifest; readonly checksum: string }> {
  const path = source.name
  const fail = (field: string, expected: string, cause?: unknown) =>
    new FormatError(`Expected ${expected} in the packed image ${path}.`, { field, path, cause })
  if (source.size < PREAMBLE_BYTES) throw fail('size', `${PREAMBLE_BYTES} bytes and more`)
  const start = await source.read(0, PREAMBLE_BYTES)
  const view = new DataView(start.buffer, start.byteOffset)
  const magic = new TextDecoder().decode(start.subarray(0, MAGIC.length))
  if (magic !== MAGIC) throw fail('magic', `"${MAGIC}" at the start`)
  const version = view.getUint32(16, true)
  if (version !== IMAGE_VERSION) {
    throw fail('version', `version ${IMAGE_VERSION}, got ${version},`)
  }
  const manifestBytes = view.getUint32(20, true)
  if (manifestBytes > Math.min(MAX_MANIFEST_BYTES, source.size - PREAMBLE_BYTES)) {
    throw fail('manifest', `a shorter manifest than ${manifestBytes} bytes`)
  }
  const text = await source.read(PREAMBLE_BYTES, manifestBytes)
  let manifest: unknown
  try {
    manifest = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text))
  } catch (cause) {
    throw fail('manifest', 'JSON as the manifest', cause)
  }
  if (!isManifest(manifest)) throw fail('manifest', 'a manifest with buffers')
  const placement = placeBuffers(manifest.buffers, manifestBytes)
  if (placement.fileBytes !== source.size) {
    throw fail('size', `${placement.fileBytes} bytes, got ${source.size},`)
  }
  const checksum = view.getBigUint64(CHECKSUM_OFFSET, true).toString(16).padStart(16, '0')
  return { manifest, checksum, ...placement }
}

function isManifest(value: unknown): value is ImageManifest {
  if (!isObject(value) || !('tree' in value) || !Array.isArray(value['buffers'])) return false
  const texts = [value['identity'], value['source'], value['settings']]
  return texts.every((text) => typeof text === 'string') && value['buffers'].every(isBuffer)
}

function isBuffer(value: unknown): boolean {
  if (!isObject(value) || typeof value['label'] !== 'string') return false
  const { byteLength, sparseBytes } = value
  return isWhole(byteLength) && isWhole(sparseBytes, 0, byteLength)
}
