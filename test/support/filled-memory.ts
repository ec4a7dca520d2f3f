/** Memory with random contents, and what lists of commands make of it. */
import type { Backend } from '../../src/backends/backend.ts'
import type { IndexColumn } from '../../src/kernels/index-buffer.ts'
import type { TernaryMatrix } from '../../src/kernels/matrices.ts'
import type { Command } from '../../src/kernels/ops.ts'
import type { DeviceBuffer } from '../../src/kernels/slice.ts'
import { Seeded } from '../../src/kernels/testing/conformance-cases.ts'
import { padToTile } from '../../src/ternary/index.ts'

/** Buffers of one backend. */
export class FilledMemory {
  readonly buffers: DeviceBuffer[] = []
  readonly #backend: Backend
  readonly #seeded = new Seeded(5)

  constructor(backend: Backend) {
    this.#backend = backend
  }

  floats(count: number, label: string, magnitude = 1): DeviceBuffer {
    return this.filled(this.#seeded.floats(count, magnitude), label)
  }

  halves(count: number, label: string): DeviceBuffer {
    return this.filled(this.#seeded.halves(count), label)
  }

  matrix(rows: number, cols: number, label: string): TernaryMatrix {
    const { bytes, scales } = this.#seeded.ternary(rows, cols)
    const data = this.filled(bytes, label)
    return { rows, cols, data, scales: this.filled(scales, `${label} scales`) }
  }

  quantized(rows: number, cols: number) {
    return {
      q: this.filled(new Uint8Array(rows * padToTile(cols)), 'q'),
      scales: this.filled(new Float32Array(rows), 'scales'),
      sums: this.filled(new Int32Array(rows), 'sums'),
    }
  }

  filled(values: ArrayBufferView, label: string): DeviceBuffer {
    return this.#written(this.#backend.allocate(values.byteLength, label), values)
  }

  indices(values: Int32Array, columns: readonly IndexColumn[], label: string): DeviceBuffer {
    const rows = values.length / columns.length
    return this.#written(this.#backend.allocateIndices(rows, columns, label), values)
  }

  #written(own: DeviceBuffer, { buffer, byteOffset, byteLength }: ArrayBufferView): DeviceBuffer {
    this.#backend.write(own, 0, new Uint8Array(buffer, byteOffset, byteLength))
    this.buffers.push(own)
    return own
  }

  /** What is in every buffer after some lists; frees them. */
  async after(lists: readonly (readonly Command[])[]): Promise<Record<string, Uint8Array>> {
    const backend = this.#backend
    for (const list of lists) {
      const program = await backend.record(list)
      backend.submit(program)
      program.dispose()
    }
    const all = this.buffers.map(async (own) => [own.label, await backend.read(own)])
    const contents = Object.fromEntries(await Promise.all(all))
    for (const buffer of this.buffers) backend.free(buffer)
    return contents
  }
}

/** Each command as a list of its own. */
export function oneByOne(commands: readonly Command[]): Command[][] {
  return commands.map((command) => [command])
}
