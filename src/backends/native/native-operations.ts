/**
 * What only the native backend can do: measure how fast memory is read.
 */
import { openNativeBackend } from './native-backend.ts'

/** READ_PIECE in native/read-bytes.c. */
const READ_PIECE = 1 << 20

/**
 * The speed at which `threads` threads read memory: the best of several passes over `bytes` bytes.
 *
 * @param bytes well above the caches' size, e.g. 512 MiB
 */
export async function measureMemoryBandwidth(
  threads: number,
  bytes: number,
): Promise<{ bytesPerSecond: number }> {
  const backend = openNativeBackend({ threads })
  try {
    const pieces = Math.max(1, Math.floor(bytes / READ_PIECE))
    const memory = backend.allocate(pieces * READ_PIECE, 'bandwidth', 'weights')
    const sinks = backend.allocate(pieces * 64, 'bandwidth sinks')
    backend.map(memory).fill(1)
    const program = backend.recordEncoded([
      { op: 'read-bytes', pointers: [memory, sinks], integers: [pieces] },
    ])
    let best = Number.POSITIVE_INFINITY
    for (let pass = 0; pass < 6; pass++) {
      const start = performance.now()
      await backend.submit(program)
      best = Math.min(best, performance.now() - start)
    }
    return { bytesPerSecond: (pieces * READ_PIECE) / (best / 1000) }
  } finally {
    backend.dispose()
  }
}
