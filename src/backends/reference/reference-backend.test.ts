/** Memory, queue and checks of the reference backend. */

import { afterEach, describe, expect, test } from 'vitest'
import { BackendError, ShapeError } from '../../errors.ts'
import type { Command } from '../../kernels/ops.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import type { Backend } from '../backend.ts'
import { createReferenceBackend } from './index.ts'

let backend: Backend = createReferenceBackend()

afterEach(() => {
  backend.dispose()
  backend = createReferenceBackend()
})

function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}

function filled(label: string, bytes: Uint8Array): DeviceBuffer {
  const buffer = backend.allocate(bytes.byteLength, label)
  backend.write(buffer, 0, bytes)
  return buffer
}

async function readFloats(buffer: DeviceBuffer): Promise<number[]> {
  const bytes = await backend.read(buffer, 0, buffer.byteLength)
  return [...new Float32Array(bytes.buffer)]
}

/** out = relu(gate)^2 * up for one row of one column. */
function square(gateUp: DeviceBuffer, out: DeviceBuffer): Command {
  return { op: 'gated-activation', rows: 1, cols: 1, activation: 'relu2', gateUp, out }
}

describe('memory', () => {
  test('is zero at first, counted, and given back', () => {
    const buffer = backend.allocate(24, 'b')
    expect(backend.map?.(buffer)).toEqual(new Uint8Array(24))
    expect(backend.allocatedBytes).toBe(24)
    backend.free(buffer)
    expect(backend.allocatedBytes).toBe(0)
  })

  test('cannot be used after it was freed or by another backend', async () => {
    const buffer = backend.allocate(8, 'b')
    const other = createReferenceBackend()
    expect(() => other.write(buffer, 0, new Uint8Array(1))).toThrow(BackendError)
    backend.free(buffer)
    expect(() => backend.write(buffer, 0, new Uint8Array(1))).toThrow('after it was freed')
    expect(() => backend.free(buffer)).toThrow(BackendError)
    await expect(backend.read(buffer, 0, 1)).rejects.toThrow(BackendError)
  })

  test('is written and read only within its bounds', async () => {
    const buffer = backend.allocate(8, 'b')
    expect(() => backend.write(buffer, 7, new Uint8Array(2))).toThrow(ShapeError)
    expect(() => backend.write(buffer, -1, new Uint8Array(2))).toThrow(ShapeError)
    await expect(backend.read(buffer, 4, 5)).rejects.toThrow(ShapeError)
  })

  test('refuses sizes that no memory has', () => {
    expect(() => backend.allocate(-1, 'b')).toThrow(ShapeError)
    expect(() => backend.allocate(2 ** 50, 'b')).toThrow(BackendError)
    expect(backend.allocatedBytes).toBe(0)
  })
})

describe('programs', () => {
  test('run their commands in order, as often as they are submitted', async () => {
    const a = filled('a', floats(2, 3))
    const b = filled('b', floats(0, 1))
    const c = backend.allocate(4, 'c')
    const program = backend.record([square(a, b), square(b, c)])
    expect(program.commandCount).toBe(2)
    await backend.submit(program)
    expect(await readFloats(c)).toEqual([144])
    backend.write(a, 0, floats(1, 5))
    backend.submit(program).catch(() => undefined)
    expect(await readFloats(c)).toEqual([25])
  })

  test('run one after the other, and a failed one does not stop the next', async () => {
    const x = filled('x', floats(1, 2, 3, 4))
    const index = filled('index', new Uint8Array(Int32Array.of(4).buffer))
    const out = filled('out', floats(9))
    const gather = backend.record([{ op: 'gather-rows', rows: 1, cols: 1, x, index, out }])
    const failed = backend.submit(gather)
    const next = backend.submit(backend.record([square(x, out)]))
    await expect(failed).rejects.toThrow('row index of row 0 in buffer "index"')
    await next
    expect(await readFloats(out)).toEqual([2])
  })

  test('check tokens, slots and positions before anything is written', async () => {
    const words = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer)
    const step = filled('step', words(0, 0, 0, 0))
    const qkv = filled('qkv', floats(1, 1, 1, 1, 1, 1))
    const table = filled('table', floats(...Array.from({ length: 32 }, () => 5)))
    const row = filled('row', floats(7, 7))
    const program = backend.record([
      {
        op: 'embed',
        rows: 1,
        step,
        table: { type: 'f32', rows: 3, cols: 2, data: table, scales: undefined },
        out: row,
      },
      {
        op: 'rope-cache',
        rows: 1,
        nHeads: 1,
        step,
        qkv,
        rotations: backend.allocate(8 * 4, 'rotations'),
        cache: {
          keys: backend.allocate(2 * 16 * 2 * 2, 'keys'),
          values: backend.allocate(2 * 16 * 16 * 2, 'values'),
          slots: 2,
          capacity: 16,
          nKvHeads: 1,
          headDim: 2,
        },
      },
    ])
    for (const [entry, name] of [
      [[3, 0, 0, 0], 'token'],
      [[-1, 0, 0, 0], 'token'],
      [[0, 2, 0, 0], 'slot'],
      [[0, 0, 4, 0], 'position'], // the cache has 16 positions, but only four are in the table
    ] as const) {
      backend.write(step, 0, words(...entry))
      await expect(backend.submit(program)).rejects.toThrow(ShapeError)
      await expect(backend.submit(program)).rejects.toThrow(`the ${name} of row 0`)
    }
    expect(await readFloats(row)).toEqual([7, 7])
    backend.write(step, 0, words(2, 1, 3, 0))
    await backend.submit(program)
    expect(await readFloats(row)).toEqual([5, 5])
  })

  test('are refused when they are disposed, foreign, or hold foreign buffers', async () => {
    const a = filled('a', floats(2, 3))
    const b = filled('b', floats(0))
    const program = backend.record([square(a, b)])
    const other = createReferenceBackend()
    await expect(other.submit(program)).rejects.toThrow(BackendError)
    expect(() => other.record([square(a, b)])).toThrow(BackendError)
    program.dispose()
    await expect(backend.submit(program)).rejects.toThrow('disposed')
  })

  test('let timers run while a long list is at work', async () => {
    const x = backend.allocate(4 * 2 * 500_000, 'x')
    const out = backend.allocate(4 * 500_000, 'out')
    const silu: Command = {
      op: 'gated-activation',
      rows: 1,
      cols: 500_000,
      activation: 'silu',
      gateUp: x,
      out,
    }
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)
    await backend.submit(backend.record(Array.from({ length: 30 }, () => silu)))
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(0)
  })
})
