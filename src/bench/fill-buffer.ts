/**
 * Fills a buffer with one byte, piece by piece, through the one call that every backend has.
 */
import type { Backend } from '../backends/backend.ts'
import type { DeviceBuffer } from '../kernels/commands.ts'

const PIECE_BYTES = 1 << 20

/**
 * A page that was never written may be a shared page of zeros, which is not read from memory: what is
 * timed must be filled first.
 */
export function fillBuffer(backend: Backend, buffer: DeviceBuffer, value: number): void {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, buffer.byteLength)).fill(value)
  for (let at = 0; at < buffer.byteLength; at += piece.length) {
    backend.write(buffer, at, piece.subarray(0, Math.min(piece.length, buffer.byteLength - at)))
  }
}
