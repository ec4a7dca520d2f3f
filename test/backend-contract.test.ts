/**
 * The contract of backends (src/backends/backend.ts), the same for each: memory, the order of the queue,
 * and who gets which error. Indices are in backend-indices.test.ts, results in the kernels' conformance.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Backend, Program } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { BackendError, ShapeError } from '../src/errors.ts'
import { type BufferSlice, sliceOf } from '../src/kernels/slice.ts'
import {
  addSums,
  describeBackends,
  filled,
  floats,
  readFloats,
  square,
} from './support/contract.ts'

/** A slice as anybody can write it down. */
function forged(slice: BufferSlice, byteOffset: number, byteLength: number): BufferSlice {
  return { label: slice.label, buffer: slice.buffer, byteOffset, byteLength }
}

const SIZES_OF_NOTHING = [-1, Number.NaN, 1.5, Infinity, 2 ** 53]

describeBackends((open, openAnother) => {
  describe('memory', () => {
    test('is zero at first, counted, and given back', async () => {
      const backend = open()
      const before = backend.allocatedBytes
      const buffer = backend.allocate(24, 'b')
      await backend.ready()
      expect(await backend.read(buffer)).toEqual(new Uint8Array(24))
      expect(backend.allocatedBytes).toBe(before + 24)
      backend.write(buffer, 0, new Uint8Array(24).fill(7))
      backend.free(buffer)
      expect(backend.allocatedBytes).toBe(before)
      expect(await backend.read(backend.allocate(24, 'again'))).toEqual(new Uint8Array(24))
    })

    test('is written and read only within its bounds', async () => {
      const backend = open()
      const buffer = filled(backend, 'b', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
      for (const [at, bytes] of [
        [7, 2],
        [9, 0],
        [-1, 2],
        [0.5, 1],
        [Number.NaN, 1],
        [0, 9],
      ] as const) {
        expect(() => backend.write(buffer, at, new Uint8Array(bytes))).toThrow(ShapeError)
        await expect(backend.read(forged(buffer, at, bytes))).rejects.toThrow(ShapeError)
      }
      await expect(backend.read(forged(buffer, 4, Number.NaN))).rejects.toThrow(ShapeError)
      await expect(backend.read(forged(buffer, 4, -1))).rejects.toThrow(ShapeError)
      expect([...(await backend.read(sliceOf(buffer, 6, 2)))]).toEqual([7, 8])
      expect([...(await backend.read(buffer))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    })

    test('has no size that is none, and says of what and how much there is no room', async () => {
      const backend = open()
      const before = backend.allocatedBytes
      for (const size of SIZES_OF_NOTHING) {
        expect(() => backend.allocate(size, 'b')).toThrow(ShapeError)
      }
      const tooMuch = async () => {
        backend.allocate(2 ** 50, 'all of it')
        await backend.ready()
      }
      await expect(tooMuch()).rejects.toThrow(BackendError)
      await expect(tooMuch()).rejects.toThrow(/1125899906842\d+ bytes of "all of it"/)
      expect(backend.allocatedBytes).toBe(before)
    })

    test('cannot be used after it was freed, or by another backend', async () => {
      const backend = open()
      const other = createReferenceBackend()
      const [freed, foreign] = [backend.allocate(8, 'freed'), other.allocate(8, 'foreign')]
      const own = backend.allocate(8, 'own')
      backend.free(freed)
      for (const buffer of [freed, foreign]) {
        expect(() => backend.write(buffer, 0, new Uint8Array(1))).toThrow(BackendError)
        expect(() => backend.free(buffer)).toThrow(BackendError)
        if (backend.map) expect(() => backend.map?.(buffer)).toThrow(BackendError)
        await expect(backend.read(buffer)).rejects.toThrow(BackendError)
        await expect(backend.record([square(buffer, own)])).rejects.toThrow(BackendError)
        await expect(backend.record([square(own, buffer)])).rejects.toThrow(BackendError)
      }
      expect(() => other.write(own, 0, new Uint8Array(1))).toThrow(BackendError)
    })

    test('is seen through map where it is in this process', async () => {
      const backend = open()
      const buffer = filled(backend, 'b', floats(2, 3))
      const out = backend.allocate(4, 'out')
      backend.submit(await backend.record([square(buffer, out)]))
      await backend.done()
      const bytes = backend.map?.(out) ?? (await backend.read(out))
      expect(bytes).toHaveLength(4)
      expect(new Uint8Array(bytes)).toEqual(floats(12))
    })
  })

  describe('the queue', () => {
    test('runs writes, programs and reads in the order of the calls', async () => {
      const backend = open()
      const a = filled(backend, 'a', floats(2, 3))
      const b = filled(backend, 'b', floats(0, 1))
      const c = backend.allocate(4, 'c')
      const program = await backend.record([square(a, b), square(b, c)])
      expect(program.commandCount).toBe(2)
      const bytes = floats(1, 5)
      backend.submit(program)
      const first = readFloats(backend, c)
      backend.write(a, 0, bytes)
      bytes.fill(0)
      const between = readFloats(backend, c)
      backend.submit(program)
      const second = readFloats(backend, c)
      backend.write(c, 0, floats(-1))
      const last = readFloats(backend, c)
      expect(await Promise.all([first, between, second, last])).toEqual([[144], [144], [25], [-1]])
    })

    test('takes many programs at once', async () => {
      const backend = open()
      const { command, out } = addSums(backend, 20, 3)
      const program = await backend.record([command])
      for (let i = 0; i < 200; i++) backend.submit(program)
      await backend.done()
      expect(await readFloats(backend, out)).toEqual(Array(20).fill(600))
    })

    test('leaves what runs alone when its memory is written to, freed and given to others', async () => {
      const backend = open()
      const { command, x, data, out } = addSums(backend, 128, 128)
      const program = await backend.record(Array(50).fill(command))
      for (const turns of [0, 1]) {
        backend.write(out, 0, new Uint8Array(out.byteLength))
        backend.write(x, 0, floats(...Array(128).fill(1)))
        backend.submit(program)
        for (let turn = 0; turn < turns; turn++) await nextTurn()
        backend.write(x, 0, floats(...Array(128).fill(7)))
        expect(await readFloats(backend, out)).toEqual(Array(128).fill(50 * 128))
      }
      backend.write(out, 0, new Uint8Array(out.byteLength))
      backend.submit(program)
      backend.free(data)
      const taker = backend.allocate(data.byteLength, 'taker')
      backend.write(taker, 0, new Uint8Array(data.byteLength).fill(0x55))
      program.dispose()
      expect(await readFloats(backend, out)).toEqual(Array(128).fill(50 * 128 * 7))
    })

    test('runs an empty program', async () => {
      const backend = open()
      const program = await backend.record([])
      expect(program.commandCount).toBe(0)
      backend.submit(program)
      await backend.done()
    })

    test('refuses programs that are disposed, foreign, or have lost a buffer', async () => {
      const backend = open()
      const [a, b] = [filled(backend, 'a', floats(2, 3)), backend.allocate(4, 'b')]
      const other = createReferenceBackend()
      const foreign = await other.record([])
      expect(() => backend.submit(foreign)).toThrow(BackendError)
      expect(() => backend.submit({ commandCount: 0, dispose() {} })).toThrow(BackendError)
      const program = await backend.record([square(a, b)])
      expect(() => other.submit(program)).toThrow(BackendError)
      backend.free(backend.allocate(4, 'of no program'))
      backend.submit(program)
      expect(await readFloats(backend, b)).toEqual([12])
      backend.free(a)
      expect(() => backend.submit(program)).toThrow(BackendError)
      program.dispose()
      program.dispose()
      expect(() => backend.submit(program)).toThrow('disposed')
      await backend.done()
    })

    test('rejects what cannot be recorded, and goes on', async () => {
      const backend = open()
      const [a, b] = [filled(backend, 'a', floats(2, 3)), backend.allocate(4, 'b')]
      await expect(backend.record([{ ...square(a, b), rows: 0 }])).rejects.toThrow(ShapeError)
      await expect(backend.record([square(b, a)])).rejects.toThrow(ShapeError)
      await expect(backend.record([square(a, a)])).rejects.toThrow(ShapeError)
      backend.submit(await backend.record([square(a, b)]))
      expect(await readFloats(backend, b)).toEqual([12])
    })
  })

  describe('slices', () => {
    test('of one buffer are operands like buffers of their own', async () => {
      const backend = open()
      const arena = backend.allocate(192, 'arena')
      backend.write(arena, 64, floats(2, 3))
      const [a, b] = [sliceOf(arena, 64, 8, 'a'), sliceOf(arena, 128, 4, 'b')]
      backend.submit(await backend.record([square(a, b)]))
      expect(await readFloats(backend, b)).toEqual([12])
      const all = new Float32Array((await backend.read(arena)).buffer)
      expect([all[16], all[17], all[32], all[33], all[15]]).toEqual([2, 3, 12, 0, 0])
    })

    test('must lie in their buffer, at a multiple of 64, and apart from what is written', async () => {
      const backend = open()
      const arena = backend.allocate(192, 'arena')
      const out = backend.allocate(4, 'out')
      for (const slice of [
        forged(arena, 64, 1000),
        forged(arena, 192, 8),
        forged(arena, -64, 8),
        forged(arena, 4, 8),
        forged(arena, Number.NaN, 8),
        forged(arena, 0, Infinity),
      ]) {
        await expect(backend.record([square(slice, out)])).rejects.toThrow(ShapeError)
        await expect(backend.record([square(out, slice)])).rejects.toThrow(ShapeError)
      }
      const overlapping = square(forged(arena, 0, 72), forged(arena, 64, 8))
      await expect(backend.record([overlapping])).rejects.toThrow(ShapeError)
    })
  })

  describe('disposal', () => {
    test('waits for what runs, and what was asked for before still comes', async () => {
      const backend = await openAnother()
      const { command, out } = addSums(backend, 64, 64)
      const program = await backend.record(Array(20).fill(command))
      backend.submit(program)
      const result = readFloats(backend, out)
      const disposal = backend.dispose()
      backend.dispose()
      expect(await result).toEqual(Array(64).fill(20 * 64))
      await disposal
      await backend.dispose()
      expect(backend.allocatedBytes).toBe(0)
    })

    test.each(['before it is over', 'afterwards'])('refuses all work %s', async (when) => {
      const backend = await openAnother()
      const buffer = backend.allocate(8, 'b')
      const program = await backend.record([square(buffer, backend.allocate(4, 'out'))])
      const disposal = backend.dispose()
      if (when === 'afterwards') await disposal
      await expectRefusal(backend, buffer, program)
      program.dispose()
      await disposal
    })
  })

  test('a device that is there is not lost', async () => {
    const backend = open()
    const lost = backend.lost.then(() => 'lost')
    expect(await Promise.race([lost, nextTurn('there')])).toBe('there')
  })
})

async function expectRefusal(
  backend: Backend,
  buffer: ReturnType<Backend['allocate']>,
  program: Program,
): Promise<void> {
  for (const call of [
    () => backend.allocate(4, 'late'),
    () => backend.allocateIndices(1, [{ name: 'row', limit: 1 }], 'late'),
    () => backend.write(buffer, 0, new Uint8Array(4)),
    () => backend.submit(program),
  ]) {
    expect(call).toThrow(BackendError)
    expect(call).toThrow('disposed')
  }
  await expect(backend.read(buffer)).rejects.toThrow(BackendError)
  await expect(backend.record([])).rejects.toThrow(BackendError)
  await expect(backend.done()).rejects.toThrow(BackendError)
  await expect(backend.ready()).rejects.toThrow(BackendError)
}
