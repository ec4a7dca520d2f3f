/**
 * The file of a saved state: what is computed of a text, to go on from after a restart. All numbers are
 * little-endian.
 *
 *   0   "bitnetst"
 *   8   version of this format, uint32
 *   12  bytes of the description, uint32
 *   16  tokens of the text, uint32
 *   20  zeros
 *   32  SHA-256 of the SHA-256 of each MiB of what follows
 *   64  the description, JSON in UTF-8
 *       the tokens, uint32 each
 *       keys and values, as the cache copies them out
 */
import { isObject, isWhole } from '../../checks.ts'
import { BackendError, FormatError } from '../../errors.ts'
import { MAX_JSON_MARKS, parseJson } from '../../formats/json-text.ts'
import type { CacheContent } from '../../model/engine.ts'

/** Raise it with any change of this format, of what the cache copies out, or of how tokens are probed. */
const VERSION = 1
const MAGIC = 'bitnetst'
const PREAMBLE_BYTES = 64
const HASH_OFFSET = 32
const HASH_BYTES = 32
const PIECE_BYTES = 1 << 20
/** A conversation of years; the same as for one without a state. */
export const MAX_DESCRIPTION_BYTES: number = 64 << 20

export interface StateDescription {
  /** The model's name, for messages. */
  readonly model: string
  readonly vocabSize: number
  readonly content: CacheContent
  /** Tells models apart that compute other keys and values. */
  readonly fingerprint: string
  /** Tokens, from the first on, whose keys and values are in the file. */
  readonly computed: number
  /** What the caller keeps beside them. */
  readonly note?: unknown
}

export interface SavedState extends StateDescription {
  readonly tokens: Uint32Array
  readonly bytes: Uint8Array
}

export function isStateFile(start: Uint8Array): boolean {
  return new TextDecoder().decode(start.subarray(0, MAGIC.length)) === MAGIC
}

export async function encodeState({
  tokens,
  bytes,
  ...description
}: SavedState): Promise<Uint8Array> {
  const text = new TextEncoder().encode(JSON.stringify(description))
  const start = PREAMBLE_BYTES + text.length
  const file = new Uint8Array(start + 4 * tokens.length + bytes.length)
  const view = new DataView(file.buffer)
  file.set(new TextEncoder().encode(MAGIC))
  view.setUint32(8, VERSION, true)
  view.setUint32(12, text.length, true)
  view.setUint32(16, tokens.length, true)
  file.set(text, PREAMBLE_BYTES)
  for (const [i, token] of tokens.entries()) view.setUint32(start + 4 * i, token, true)
  file.set(bytes, start + 4 * tokens.length)
  file.set(await hashOf(file.subarray(PREAMBLE_BYTES)), HASH_OFFSET)
  return file
}

/**
 * What a state says. Whether it is of this model is the caller's to find out.
 *
 * @throws FormatError if it is no saved state, of another version, cut short, or damaged
 */
export async function readState(file: Uint8Array): Promise<SavedState> {
  if (!isStateFile(file)) throw damaged('magic', `"${MAGIC}" at its start`)
  if (file.length < PREAMBLE_BYTES) throw damaged('size', `at least ${PREAMBLE_BYTES} bytes`)
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const version = view.getUint32(8, true)
  if (version !== VERSION) throw damaged('version', `version ${VERSION}, got ${version}`)
  const [textBytes, tokenCount] = [view.getUint32(12, true), view.getUint32(16, true)]
  const start = PREAMBLE_BYTES + textBytes
  const end = start + 4 * tokenCount
  if (textBytes > MAX_DESCRIPTION_BYTES) throw damaged('description', 'a shorter description')
  if (end > file.length) throw damaged('size', `at least ${end} bytes, got ${file.length}`)
  const hash = await hashOf(file.subarray(PREAMBLE_BYTES))
  if (hash.some((byte, i) => byte !== file[HASH_OFFSET + i])) {
    throw damaged('checksum', 'its checksum, got another: it is damaged')
  }
  let description: unknown
  try {
    description = parseJson(file.subarray(PREAMBLE_BYTES, start), MAX_JSON_MARKS)
  } catch (cause) {
    throw damaged('description', (cause as Error).message, cause)
  }
  if (!isDescription(description)) throw damaged('description', 'a description of a state')
  const tokens = Uint32Array.from({ length: tokenCount }, (_, i) =>
    view.getUint32(start + 4 * i, true),
  )
  const { vocabSize, computed } = description
  if (computed > tokenCount) throw damaged('computed', `at most ${tokenCount} computed tokens`)
  if (tokens.some((token) => token >= vocabSize)) throw damaged('tokens', `ids below ${vocabSize}`)
  return { ...description, tokens, bytes: file.subarray(end) }
}

function isDescription(value: unknown): value is StateDescription {
  if (!isObject(value)) return false
  const { model, vocabSize, content, fingerprint, computed } = value
  return (
    typeof model === 'string' &&
    isWhole(vocabSize, 1) &&
    isObject(content) &&
    typeof fingerprint === 'string' &&
    isWhole(computed)
  )
}

function damaged(field: string, expected: string, cause?: unknown): FormatError {
  return new FormatError(`Expected ${expected} in a saved state.`, { field, cause })
}

/** Of pieces, which are copied for that: the same memory serves one after another. */
export async function hashOf(bytes: Uint8Array): Promise<Uint8Array> {
  const hashes = new Uint8Array(HASH_BYTES * Math.ceil(bytes.length / PIECE_BYTES))
  for (let at = 0, i = 0; at < bytes.length; at += PIECE_BYTES, i++) {
    hashes.set(await sha256(bytes.subarray(at, at + PIECE_BYTES)), HASH_BYTES * i)
  }
  return sha256(hashes)
}

/** @throws BackendError where the surroundings have no cryptography: a page that is not secure */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle
  if (subtle === undefined) {
    throw new BackendError(
      'Expected crypto.subtle, which checks saved states, but there is none. Browsers have it on pages ' +
        'of https: and of localhost.',
    )
  }
  return new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
}
