/**
 * Commands as the addon reads them: a fixed number of float64 slots each, which hold an operation's
 * number, addresses, integers and floats alike without loss. The order of an operation's operands is
 * the one its vector.c states in its first lines.
 */

import { ACTIVATIONS } from '../kernels/gated-activation/reference.ts'
import type { DenseMatrix } from '../kernels/matrices.ts'
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import type { CacheType, DenseType, ValuesType } from '../kernels/storage.ts'
import { padToTile, TILE } from '../ternary/index.ts'

const POINTERS = 8
const INTEGERS = 12
const FLOATS = 2
const SLOTS = 1 + POINTERS + INTEGERS + FLOATS

/** The order of the enum in kernels/c/kernel.h. */
const OPERATIONS = [
  'embed',
  'gather-rows',
  'rms-norm',
  'quantize',
  'ternary-matmul',
  'dense-matmul',
  'head-matmul',
  'rope-cache',
  'attention',
  'gated-activation',
  'token-scores',
  'pack-ternary',
  'pack-dense',
  'read-bytes',
  'peak-dot',
] as const

/** The operations of a decoder, and two that measure the machine. */
export type NativeOperation = (typeof OPERATIONS)[number]

const CACHE_TYPES: Record<CacheType, number> = { f16: 0, f32: 1, int8: 2, int4: 3 }
const DENSE_TYPES: Record<DenseType, number> = { f32: 0, f16: 1, int8: 2, int4: 3 }
const VALUES_TYPES: Record<ValuesType, number> = { f32: 0, f16: 1, bf16: 2 }

/** A buffer, an address, or null for an operand that is left out. */
type Pointer = BufferSlice | undefined

export interface Encoded {
  readonly op: NativeOperation
  readonly pointers: readonly Pointer[]
  readonly integers: readonly number[]
  readonly floats?: readonly number[]
  /** A buffer whose sparse end may lie in a file; its source is the command's last pointer. */
  readonly sparse?: BufferSlice
}

/** Scratch memory a command needs while it runs, in bytes; 0 for none. */
export function scratchByteLength(command: Command): number {
  switch (command.op) {
    case 'dense-matmul': {
      const { rows, weights } = command
      return rows * (weights.type === 'int8' ? splitByteLength(weights) : weights.cols * 4)
    }
    case 'head-matmul': {
      const { rows, weights } = command
      const stripes = padToTile(weights.rows) / TILE
      const words = padToTile(stripes) + Math.min(stripes, command.exactStripes)
      return rows * (splitByteLength(weights) + words * 4)
    }
    case 'attention': {
      const { nHeads, rows } = command
      const stride = padToTile(command.cache.headDim) + 16
      return partialChunks(rows, command.cache.capacity) * rows * nHeads * stride * 4
    }
    default:
      return 0
  }
}

/** split_stride() in kernels/dense-matmul/dense-matmul.h. */
function splitByteLength({ cols }: DenseMatrix): number {
  return 2 * padToTile(cols) + SPLIT_TOKEN_BYTES
}

/** sizeof(split_token) in kernels/dense-matmul/dense-matmul.h. */
const SPLIT_TOKEN_BYTES = 64
/** ATTENTION_CHUNK in kernels/attention/vector.c. */
const ATTENTION_CHUNK = 256
/** More rows than this keep all threads busy without splitting a row's positions. */
const MAX_SPLIT_ROWS = 8

/** Chunks of positions that a row's partial results have room for; 0 where rows are not split. */
function partialChunks(rows: number, capacity: number): number {
  const chunks = Math.ceil(capacity / ATTENTION_CHUNK)
  return rows <= MAX_SPLIT_ROWS && chunks > 1 ? chunks : 0
}

function dense(matrix: DenseMatrix): Pointer[] {
  return [matrix.data, matrix.scales]
}

/** The operands of a command in the addon's order. */
export function encodeCommand(c: Command, scratch: BufferSlice | undefined): Encoded {
  switch (c.op) {
    case 'embed': {
      const { table } = c
      return {
        op: c.op,
        pointers: [c.step, ...dense(table), c.out],
        integers: [c.rows, table.cols, DENSE_TYPES[table.type], table.rows],
        floats: [c.factor ?? 1],
        ...(table.type === 'int4' && { sparse: table.data }),
      }
    }
    case 'gather-rows':
      return { op: c.op, pointers: [c.x, c.index, c.out], integers: [c.rows, c.cols] }
    case 'rms-norm':
      return {
        op: c.op,
        pointers: [c.x, c.weight, c.out],
        integers: [c.rows, c.cols, c.accumulate ? 1 : 0],
        floats: [c.eps],
      }
    case 'quantize':
      return {
        op: c.op,
        pointers: [c.x, c.weight, c.out.q, c.out.scales, c.out.sums],
        integers: [c.rows, c.cols],
        floats: [c.eps],
      }
    case 'ternary-matmul': {
      const { weights, x } = c
      return {
        op: c.op,
        pointers: [x.q, x.scales, x.sums, weights.data, weights.scales, c.out],
        integers: [
          c.rows,
          c.part?.count ?? weights.rows,
          weights.cols,
          c.accumulate ? 1 : 0,
          weights.packing === 'base3' ? 1 : 0,
          weights.rows,
          c.part?.first ?? 0,
        ],
      }
    }
    case 'dense-matmul': {
      const { weights } = c
      return {
        op: c.op,
        pointers: [c.x, ...dense(weights), c.out, scratch],
        integers: [
          c.rows,
          weights.rows,
          weights.cols,
          DENSE_TYPES[weights.type],
          c.accumulate ? 1 : 0,
          c.wholeInput ? 1 : 0,
        ],
      }
    }
    case 'head-matmul': {
      const { weights } = c
      return {
        op: c.op,
        pointers: [c.x, ...dense(weights), c.out, scratch],
        integers: [c.rows, weights.rows, weights.cols, c.exactStripes],
        sparse: weights.data,
      }
    }
    case 'rope-cache': {
      const { cache } = c
      return {
        op: c.op,
        pointers: [
          c.step,
          c.qkv,
          c.rotations,
          cache.keys,
          cache.values,
          c.headNorms?.query,
          c.headNorms?.key,
        ],
        integers: [
          c.rows,
          c.nHeads,
          cache.nKvHeads,
          cache.headDim,
          cache.capacity,
          CACHE_TYPES[cache.type ?? 'f16'],
        ],
        floats: [c.headNorms?.eps ?? 0],
      }
    }
    case 'attention': {
      const { cache } = c
      return {
        op: c.op,
        pointers: [c.step, c.qkv, cache.keys, cache.values, c.out, scratch],
        integers: [
          c.rows,
          c.nHeads,
          cache.nKvHeads,
          cache.headDim,
          cache.capacity,
          partialChunks(c.rows, cache.capacity),
          CACHE_TYPES[cache.type ?? 'f16'],
          c.window ?? 0,
        ],
        floats: [1 / Math.sqrt(cache.headDim)],
      }
    }
    case 'gated-activation':
      return {
        op: c.op,
        pointers: [c.gateUp, c.out],
        integers: [c.rows, c.cols, ACTIVATIONS.indexOf(c.activation)],
      }
    case 'token-scores':
      return { op: c.op, pointers: [c.logits, c.pairs, c.out], integers: [c.rows, c.cols] }
    case 'pack-ternary': {
      const { out } = c
      return {
        op: c.op,
        pointers: [c.codes, out.data],
        integers: [
          c.rows,
          c.firstRow,
          out.rows,
          out.cols,
          out.packing === 'base3' ? 1 : 0,
          c.codesType === 'i2s' ? 1 : 0,
        ],
      }
    }
    case 'pack-dense': {
      const { out } = c
      return {
        op: c.op,
        pointers: [c.values, ...dense(out)],
        integers: [
          c.rows,
          c.firstRow,
          out.rows,
          out.cols,
          DENSE_TYPES[out.type],
          VALUES_TYPES[c.valuesType ?? 'f32'],
        ],
      }
    }
    case 'read-bytes':
      return { op: c.op, pointers: [c.from, c.sinks], integers: [c.rows] }
    case 'peak-dot':
      return { op: c.op, pointers: [c.sums, c.operands], integers: [c.rows] }
    default:
      return c satisfies never
  }
}

/**
 * The slots of a whole list.
 *
 * @param addressOf must refuse buffers that are not its own
 * @param sourceOf the address of what the sparse end of a buffer is read from, 0 where it is in memory
 */
export function encodeProgram(
  commands: readonly Encoded[],
  addressOf: (buffer: BufferSlice) => number,
  sourceOf: (buffer: BufferSlice) => number = () => 0,
): Float64Array {
  const slots = new Float64Array(commands.length * SLOTS)
  for (const [n, command] of commands.entries()) {
    const at = n * SLOTS
    slots[at] = OPERATIONS.indexOf(command.op)
    for (const [i, p] of command.pointers.entries()) slots[at + 1 + i] = p ? addressOf(p) : 0
    if (command.sparse) slots[at + POINTERS] = sourceOf(command.sparse)
    slots.set(command.integers, at + 1 + POINTERS)
    slots.set(command.floats ?? [], at + 1 + POINTERS + INTEGERS)
  }
  return slots
}
