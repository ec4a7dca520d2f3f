/**
 * Indices pick addresses. They are checked when they are written, against the limits of their buffer, and
 * those when a command is recorded: so that no kernel reads or writes beyond its memory, whatever is asked
 * of a backend.
 */
import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { BackendError, ShapeError } from '../src/errors.ts'
import type { AttentionCommand } from '../src/kernels/attention/op.ts'
import { blockColumns } from '../src/kernels/matrices.ts'
import type { Command } from '../src/kernels/ops.ts'
import type { RopeCacheCommand } from '../src/kernels/rope-cache/op.ts'
import type { BufferSlice, DeviceBuffer } from '../src/kernels/slice.ts'
import { sliceOf } from '../src/kernels/slice.ts'
import { stepColumns } from '../src/kernels/step.ts'
import { pairColumns, rowColumns } from '../src/kernels/step-inputs.ts'
import { describeBackends, filled, floats, readFloats, words } from './support/contract.ts'

const TOKENS = 3
const SLOTS = 2
const BLOCKS = 3
/** Fewer than the cache has, as a command reads both. */
const ROTATED = 4

/** A command of each kind that takes indices, and the limits that it has of its own. */
function takers(backend: Backend) {
  const buffer = (count: number, label: string) => backend.allocate(count * 4, label)
  const cache = {
    keys: buffer(BLOCKS * 256, 'keys'),
    values: buffer(BLOCKS * 256 * 8, 'values'),
    blocks: BLOCKS,
    nKvHeads: 1,
    headDim: 2,
  }
  const data = filled(backend, 'table', floats(...Array(32).fill(5)))
  const embedding = { type: 'f32', rows: TOKENS, cols: 2, data, scales: undefined } as const
  const tableOf = (data: BufferSlice) => ({ data, slots: SLOTS, columns: 1 })
  const blocks = backend.allocateIndices(SLOTS, blockColumns(BLOCKS), 'blocks')
  const table = tableOf(blocks)
  const qkv = filled(backend, 'qkv', floats(...Array(6).fill(1)))
  const rotations = buffer(ROTATED * 2, 'rotations')
  const out = buffer(8, 'out')
  const rows = 1
  const nHeads = 1
  const x = filled(backend, 'x', floats(1, 2, 3, 4))
  const step = backend.allocateIndices(rows, stepColumns(LIMITS), 'step')
  const ropeCache: RopeCacheCommand = {
    op: 'rope-cache',
    rows,
    nHeads,
    step,
    qkv,
    rotations,
    cache,
    table,
  }
  const attention: AttentionCommand = {
    op: 'attention',
    rows,
    nHeads,
    step,
    qkv,
    cache,
    table,
    out,
  }
  const commands = {
    embed: (step) => ({ op: 'embed', rows, step, table: embedding, out }),
    ropeCache: (step) => ({ ...ropeCache, step }),
    attention: (step) => ({ ...attention, step }),
    gather: (index) => ({ op: 'gather-rows', rows, cols: 2, x, index, out }),
    scores: (pairs) => ({ op: 'token-scores', rows, cols: 2, logits: x, pairs, out }),
  } satisfies Record<string, (indices: BufferSlice) => Command>
  return { commands, out, cache, x, tableOf }
}

const LIMITS = { tokens: TOKENS, slots: SLOTS, positions: ROTATED }

describeBackends((open) => {
  describe('what is written to a buffer of indices', () => {
    const columns = [
      { name: 'token', limit: 3 },
      { name: 'slot', limit: 2 },
      { name: 'position', limit: 16 },
      { name: 'nothing', limit: 1 },
    ]

    test('may be anything below the limits, and is 0 at first', async () => {
      const backend = open()
      const before = backend.allocatedBytes
      const buffer = backend.allocateIndices(2, columns, 'step')
      expect(buffer.byteLength).toBe(32)
      expect(backend.allocatedBytes).toBe(before + 32)
      expect(await backend.read(buffer)).toEqual(words(0, 0, 0, 0, 0, 0, 0, 0))
      backend.write(buffer, 0, words(2, 1, 15, 0, 0, 0, 0, 0))
      backend.write(buffer, 24, words(7))
      expect(await backend.read(buffer)).toEqual(words(2, 1, 15, 0, 0, 0, 7, 0))
    })

    test.each([
      ['the token of row 0', 0, [3, 0, 0, 0]],
      ['the token of row 0', 0, [-1, 0, 0, 0]],
      ['the slot of row 0', 0, [0, 2, 0, 0]],
      ['the position of row 1', 0, [0, 0, 0, 0, 0, 0, 16, 0]],
      ['the nothing of row 1', 0, [0, 0, 0, 0, 0, 0, 0, 1]],
      ['the token of row 1', 16, [3]],
      ['the slot of row 1', 12, [0, 2, 2]],
      ['the position of row 0', 8, [-(2 ** 31)]],
    ])('is refused where %s is out of range, and nothing changes', async (what, at, values) => {
      const backend = open()
      const buffer = backend.allocateIndices(2, columns, 'step')
      backend.write(buffer, 0, words(1, 1, 1, 0, 1, 1, 1, 0))
      const write = () => backend.write(buffer, at, words(...values))
      expect(write).toThrow(ShapeError)
      expect(write).toThrow(`${what} in buffer "step" to be from 0 to`)
      expect(write).toThrow(/got -?\d+\.$/)
      expect(await backend.read(buffer)).toEqual(words(1, 1, 1, 0, 1, 1, 1, 0))
    })

    test('is whole int32 of any place in memory', async () => {
      const backend = open()
      const buffer = backend.allocateIndices(2, rowColumns(1 << 30), 'index')
      for (const [at, bytes] of [
        [1, 4],
        [0, 3],
        [2, 2],
        [8, 4],
        [-4, 4],
      ]) {
        expect(() => backend.write(buffer, at, new Uint8Array(bytes))).toThrow(ShapeError)
      }
      const odd = new Uint8Array(9)
      odd.set(words(5, 6), 1)
      backend.write(buffer, 0, odd.subarray(1))
      odd.set(words(5, 1 << 30), 1)
      expect(() => backend.write(buffer, 0, odd.subarray(1))).toThrow(ShapeError)
      expect(await backend.read(buffer)).toEqual(words(5, 6))
    })

    test('is checked at the call while programs run', async () => {
      const backend = open()
      const { commands, out, x } = takers(backend)
      const index = backend.allocateIndices(1, rowColumns(2), 'index')
      const program = await backend.record([commands.gather(index)])
      backend.submit(program)
      const first = readFloats(backend, sliceOf(out, 0, 8))
      expect(() => backend.write(index, 0, words(2))).toThrow(ShapeError)
      backend.write(index, 0, words(1))
      backend.submit(program)
      expect([await first, await readFloats(backend, sliceOf(out, 0, 8))]).toEqual([
        [1, 2],
        [3, 4],
      ])
      expect(await readFloats(backend, x)).toEqual([1, 2, 3, 4])
    })

    test('goes through write alone, and limits stay as they were declared', () => {
      const backend = open()
      const declared = [{ name: 'row', limit: 1 }]
      const buffer = backend.allocateIndices(1, declared, 'index')
      declared[0].limit = 100
      expect(() => backend.write(buffer, 0, words(1))).toThrow(ShapeError)
      const columns = buffer.columns as unknown as { limit: number }[]
      expect(() => {
        columns[0].limit = 100
      }).toThrow(TypeError)
      if (backend.map) expect(() => backend.map?.(buffer)).toThrow(ShapeError)
    })

    test.each([
      [0, 1],
      [1.5, 1],
      [-1, 1],
      [1, 0],
      [1, -1],
      [1, 1.5],
      [1, Number.NaN],
      [1, 2 ** 31 + 1],
    ])('has rows (%d) and limits (%d) that make sense', (rows, limit) => {
      const allocate = () => open().allocateIndices(rows, [{ name: 'row', limit }], 'index')
      expect(allocate).toThrow(ShapeError)
      expect(() => open().allocateIndices(1, [], 'index')).toThrow(ShapeError)
    })
  })

  describe('a command', () => {
    test('runs with indices whose limits are no higher than its own', async () => {
      const backend = open()
      const { commands, out } = takers(backend)
      const step = backend.allocateIndices(1, stepColumns(LIMITS), 'step')
      const { embed, ropeCache, attention } = commands
      backend.write(step, 0, words(2, 1, 3, 0))
      backend.submit(await backend.record([ropeCache(step), attention(step), embed(step)]))
      expect((await readFloats(backend, out)).slice(0, 2)).toEqual([5, 5])
    })

    test.each([
      ['embed', 'token', { ...LIMITS, tokens: TOKENS + 1 }],
      ['ropeCache', 'slot', { ...LIMITS, slots: SLOTS + 1 }],
      ['ropeCache', 'position', { ...LIMITS, positions: ROTATED + 1 }],
      ['attention', 'slot', { ...LIMITS, slots: SLOTS + 1 }],
      ['attention', 'position', { ...LIMITS, positions: 256 + 1 }],
    ] as const)(
      '%s is refused where the limit of a %s is above its own',
      async (op, name, limits) => {
        const backend = open()
        const { commands } = takers(backend)
        const step = backend.allocateIndices(1, stepColumns(limits), 'step')
        await expectRefusal(backend, commands[op](step), name)
      },
    )

    test.each(['ropeCache', 'attention'] as const)(
      '%s is refused where a block may be none of the cache',
      async (op) => {
        const backend = open()
        const { commands, tableOf } = takers(backend)
        const command = commands[op](backend.allocateIndices(1, stepColumns(LIMITS), 'step'))
        const blocks = (limit: number) =>
          backend.allocateIndices(SLOTS, blockColumns(limit), 'table')
        await backend.record([{ ...command, table: tableOf(blocks(BLOCKS)) }])
        await expectRefusal(backend, { ...command, table: tableOf(blocks(BLOCKS + 1)) }, 'block')
        const short = backend.allocateIndices(SLOTS - 1, blockColumns(BLOCKS), 'short')
        await expectRefusal(backend, { ...command, table: tableOf(short) }, 'table.data')
        await expectRefusal(
          backend,
          { ...command, table: tableOf(backend.allocate(64, 'plain')) },
          'indices',
        )
      },
    )

    test('names a row of what it reads, and a column', async () => {
      const backend = open()
      const { commands } = takers(backend)
      const { gather, scores } = commands
      const columnsOf = (columns: ReturnType<typeof rowColumns>) => {
        return backend.allocateIndices(1, columns, 'index')
      }
      await backend.record([gather(columnsOf(rowColumns(2)))])
      await backend.record([scores(columnsOf(pairColumns(2, 2)))])
      await expectRefusal(backend, gather(columnsOf(rowColumns(3))), 'row index')
      await expectRefusal(backend, scores(columnsOf(pairColumns(3, 2))), 'row index')
      await expectRefusal(backend, scores(columnsOf(pairColumns(2, 3))), 'scored token')
    })

    test('takes indices of nothing but a buffer with its columns', async () => {
      const backend = open()
      const { commands } = takers(backend)
      const plain = backend.allocate(64, 'plain')
      const rows = backend.allocateIndices(16, rowColumns(1), 'rows')
      for (const op of ['embed', 'ropeCache', 'attention', 'gather', 'scores'] as const) {
        await expectRefusal(backend, commands[op](plain), 'indices')
        if (op !== 'gather') await expectRefusal(backend, commands[op](rows), 'columns')
      }
      const { label, byteLength } = plain
      const forged: DeviceBuffer = {
        label,
        byteLength,
        byteOffset: 0,
        columns: rowColumns(1),
        get buffer() {
          return forged
        },
      }
      await expect(backend.record([commands.gather(forged)])).rejects.toThrow(BackendError)
    })

    test('takes a part of them from the row that it begins with', async () => {
      const backend = open()
      const { commands, out } = takers(backend)
      const index = backend.allocateIndices(17, rowColumns(2), 'index')
      backend.write(index, 64, words(1))
      backend.submit(await backend.record([commands.gather(sliceOf(index, 64, 4))]))
      expect((await readFloats(backend, out)).slice(0, 2)).toEqual([3, 4])
    })

    test('that writes tokens and positions may go no higher than readers were promised', async () => {
      const backend = open()
      const index = backend.allocateIndices(1, rowColumns(1), 'index')
      const tokens = backend.allocate(4, 'tokens')
      const next = (limits: typeof LIMITS): Command => {
        const step = backend.allocateIndices(1, stepColumns(limits), 'step')
        const [tokenLimit, positionLimit] = [TOKENS, ROTATED]
        return { op: 'next-step', rows: 1, tokenLimit, positionLimit, step, index, tokens }
      }
      await backend.record([next(LIMITS)])
      await expectRefusal(backend, next({ ...LIMITS, tokens: TOKENS - 1 }), 'token below')
      await expectRefusal(backend, next({ ...LIMITS, positions: ROTATED - 1 }), 'position below')
    })

    test('never writes to indices', async () => {
      const backend = open()
      const { commands, cache } = takers(backend)
      const index = backend.allocateIndices(64, rowColumns(1), 'index')
      const step = backend.allocateIndices(1, stepColumns(LIMITS), 'step')
      await expectRefusal(backend, { ...commands.embed(step), out: index }, 'out')
      const keys = { ...commands.ropeCache(step), cache: { ...cache, keys: index } }
      await expectRefusal(backend, keys, 'keys')
    })
  })
})

async function expectRefusal(backend: Backend, command: Command, name: string): Promise<void> {
  const recorded = backend.record([command])
  await expect(recorded).rejects.toThrow(ShapeError)
  await expect(recorded).rejects.toThrow(name)
  await expect(recorded).rejects.toThrow(command.op)
}
