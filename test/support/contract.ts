/**
 * What the contract of backends is tested with: each of them, opened for a suite, and the few
 * commands whose results can be told by hand.
 */
import { afterAll, beforeAll, describe } from 'vitest'
import type { Backend } from '../../src/backends/backend.ts'
import { createReferenceBackend } from '../../src/backends/reference/index.ts'
import type { Command } from '../../src/kernels/ops.ts'
import type { BufferSlice, DeviceBuffer } from '../../src/kernels/slice.ts'
import { everyBackend } from './backends.ts'

/**
 * Runs a suite for every backend, on one for all its tests; `openAnother` is for those that end it. What
 * does not run here is skipped with its reason.
 */
export function describeBackends(
  suite: (backend: () => Backend, openAnother: () => Promise<Backend>) => void,
): void {
  const all = [{ title: 'reference', open: createReferenceBackend }, ...everyBackend()]
  for (const { title, open } of all) {
    describe.skipIf(open === undefined)(title, () => {
      const openAnother = async () => {
        if (open === undefined) throw new Error(`${title} does not run here.`)
        return open()
      }
      let backend: Backend
      beforeAll(async () => {
        backend = await openAnother()
      })
      afterAll(() => backend?.dispose())
      suite(() => backend, openAnother)
    })
  }
}

export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}

export function words(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer)
}

export function filled(backend: Backend, label: string, bytes: Uint8Array): DeviceBuffer {
  const buffer = backend.allocate(bytes.byteLength, label)
  backend.write(buffer, 0, bytes)
  return buffer
}

export async function readFloats(backend: Backend, slice: BufferSlice): Promise<number[]> {
  return [...new Float32Array((await backend.read(slice)).buffer)]
}

/** out = relu(gate)^2 * up for one row of one column. */
export function square(gateUp: BufferSlice, out: BufferSlice): Command {
  return { op: 'gated-activation', rows: 1, cols: 1, activation: 'relu2', gateUp, out }
}

/** out (rows) += weights x, where all weights (rows, cols) are 1: the sum of x, added to each. */
export function addSums(backend: Backend, rows: number, cols: number) {
  const ones = Array<number>(Math.ceil(rows / 16) * 16 * cols).fill(1)
  const data = filled(backend, 'weights', floats(...ones))
  const weights = { type: 'f32', rows, cols, data, scales: undefined } as const
  const x = filled(backend, 'x', floats(...Array<number>(cols).fill(1)))
  const out = backend.allocate(rows * 4, 'out')
  const command: Command = { op: 'dense-matmul', rows: 1, weights, x, out, accumulate: true }
  return { command, data, x, out }
}
