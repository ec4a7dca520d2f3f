/**
 * Times one ternary product of BitNet b1.58 2B-4T, the feed-forward's way down: (2560, 6912) times
 * one token. Several copies of the matrix are read in turn, so that they come from memory and not
 * from a cache, as in a real decode step.
 */
import type { Backend, BufferUse } from '../backends/backend.ts'
import type { Command, DeviceBuffer } from '../kernels/commands.ts'
import { packedByteLength, padToTile } from '../ternary/index.ts'

export const PRODUCT_SHAPE = { rows: 2560, cols: 6912 } as const

export interface ProductTiming {
  /** Time of one product, the fastest of the passes over all copies. */
  readonly microseconds: number
  readonly weightsPerSecond: number
  /** Packed bytes read per second. */
  readonly bytesPerSecond: number
}

/** @param copies matrices to go through, 4.4 MB each */
export async function timeProduct(
  backend: Backend,
  copies: number,
  budgetMs: number,
): Promise<ProductTiming> {
  const { rows, cols } = PRODUCT_SHAPE
  const buffers: DeviceBuffer[] = []
  const allocate = (byteLength: number, label: string, use: BufferUse = 'state'): DeviceBuffer => {
    const buffer = backend.allocate(byteLength, label, use)
    buffers.push(buffer)
    return buffer
  }
  try {
    const x = {
      q: allocate(padToTile(cols), 'activations'),
      scales: allocate(4, 'activation scale'),
      sums: allocate(4, 'activation sum'),
    }
    const scales = allocate(padToTile(rows) * 4, 'row scales')
    const out = allocate(padToTile(rows) * 4, 'product')
    const codes = randomCodes(packedByteLength(rows, cols))
    const commands = Array.from({ length: copies }, (): Command => {
      const data = allocate(codes.length, 'weights', 'weights')
      backend.write(data, 0, codes)
      const weights = { rows, cols, data, scales }
      return { op: 'ternary-matmul', rows: 1, weights, x, out, accumulate: false }
    })
    const program = backend.record(commands)
    try {
      const seconds = (await fastestPass(() => backend.submit(program), budgetMs)) / copies
      return {
        microseconds: seconds * 1e6,
        weightsPerSecond: (rows * cols) / seconds,
        bytesPerSecond: codes.length / seconds,
      }
    } finally {
      program.dispose()
    }
  } finally {
    for (const buffer of buffers) backend.free(buffer)
  }
}

/** Seconds of the fastest call, after one that is not counted. */
async function fastestPass(pass: () => Promise<void>, budgetMs: number): Promise<number> {
  await pass()
  let fastest = Number.POSITIVE_INFINITY
  const end = performance.now() + budgetMs
  do {
    const start = performance.now()
    await pass()
    fastest = Math.min(fastest, performance.now() - start)
  } while (performance.now() < end)
  return fastest / 1000
}

/** Bytes of four valid codes each; the values do not matter, as no kernel's speed depends on them. */
function randomCodes(byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength)
  let state = 1
  for (let i = 0; i < byteLength; i++) {
    // Numerical Recipes' linear congruential step; 81 = 3^4 combinations of four codes.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let trits = (state >>> 16) % 81
    for (let shift = 0; shift < 8; shift += 2) {
      bytes[i] |= (trits % 3) << shift
      trits = Math.floor(trits / 3)
    }
  }
  return bytes
}
