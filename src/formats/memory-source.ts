/**
 * A byte source over memory: for tests, for files that were fetched, and for the browser.
 */
import { isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { ByteSource } from './model-file.ts'

/** The bytes are not copied; `read` hands out copies. */
export function memorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  return {
    name,
    size: bytes.length,
    async read(offset, length) {
      checkRange(name, bytes.length, offset, length)
      return bytes.slice(offset, offset + length)
    },
    async close() {},
  }
}

/** @throws FormatError unless [offset, offset + length) lies within `size` bytes */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const legal = isWhole(offset) && isWhole(length)
  if (legal && length <= size - offset) return
  throw new FormatError(
    `Expected bytes ${offset} to ${offset + length} of ${name}, but it has only ${size}. ` +
      'The file is cut short or its header is damaged; fetch it again.',
    { field: 'size', path: name },
  )
}
