/**
 * Where writers put their bytes: strictly forward, each piece awaited, so that a slow disk slows the
 * writer down instead of filling memory.
 */
import { ShapeError } from '../errors.ts'

/** A place that takes bytes in order. */
export interface ByteSink {
  /** Called once before the first write, with all the bytes to come: a place too small fails at once. */
  reserve?(bytes: number): Promise<void>
  /** The bytes may be reused by the caller once the promise has settled. */
  write(bytes: Uint8Array): Promise<void>
}

/** A sink that keeps everything, for tests and small files. */
interface MemorySink extends ByteSink {
  /** All bytes written so far, joined. */
  bytes(): Uint8Array<ArrayBuffer>
}

/** A sink in memory. */
export function memorySink(): MemorySink {
  const pieces: Uint8Array[] = []
  return {
    async write(bytes) {
      pieces.push(bytes.slice())
    },
    bytes: () => joinBytes(pieces),
  }
}

/** All pieces in one array. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

/** A tensor with what brings its bytes. */
export interface TensorToWrite {
  readonly name: string
  /** Must be what the type needs for the shape. */
  readonly byteLength: number
  /** Little-endian, in pieces of any size. Called once, when the tensor's turn comes. */
  readonly data: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/**
 * Writes a tensor's data.
 *
 * @throws ShapeError if the pieces are not `byteLength` bytes together
 */
export async function writeTensorData(sink: ByteSink, tensor: TensorToWrite): Promise<void> {
  let written = 0
  for await (const piece of tensor.data()) {
    written += piece.length
    if (written > tensor.byteLength) break
    await sink.write(piece)
  }
  if (written === tensor.byteLength) return
  const got = written > tensor.byteLength ? 'more' : `${written}`
  throw new ShapeError(
    `Expected ${tensor.byteLength} bytes for tensor "${tensor.name}", got ${got}.`,
  )
}
