/**
 * Which buffers a command touches, how many bytes of each, and what it does to them. Backends, checks
 * and tests ask here instead of knowing every operation.
 */
import { base3ByteLength, packedByteLength, padToTile } from '../ternary/index.ts'
import { keyCacheByteLength, valueCacheByteLength } from './attention/layout.ts'
import {
  type Command,
  type DenseMatrix,
  type LayerCache,
  type QuantizedBuffer,
  STEP_WORDS,
  type TernaryMatrix,
} from './commands.ts'
import { denseByteLength, hasRowScales } from './dense-matmul/layout.ts'
import type { BufferSlice } from './slice.ts'
import { PAIR_WORDS, SCORE_FLOATS } from './token-scores/reference.ts'

/** `update` reads what is there and changes it; `write` does not look at it. */
export type Access = 'read' | 'write' | 'update'

export interface Operand {
  /** The command's own name for it, e.g. "weights.scales". */
  readonly name: string
  readonly slice: BufferSlice
  /** Bytes the slice must have. */
  readonly byteLength: number
  readonly access: Access
}

/** Bytes of a float32 or an int32. */
const WORD = 4

function operand(
  name: string,
  slice: BufferSlice,
  byteLength: number,
  access: Access = 'read',
): Operand {
  return { name, slice, byteLength, access }
}

function step(rows: number, slice: BufferSlice): Operand {
  return operand('step', slice, rows * STEP_WORDS * WORD)
}

function dense(name: string, matrix: DenseMatrix, access: Access = 'read'): Operand[] {
  const { type, rows, cols, data, scales } = matrix
  const operands = [operand(`${name}.data`, data, denseByteLength(type, rows, cols), access)]
  if (hasRowScales(type) && scales !== undefined) {
    operands.push(operand(`${name}.scales`, scales, padToTile(rows) * WORD, access))
  }
  return operands
}

/** Bytes of a ternary matrix's data. */
export function ternaryByteLength(matrix: Omit<TernaryMatrix, 'data' | 'scales'>): number {
  const { packing, rows, cols } = matrix
  return packing === 'base3' ? base3ByteLength(rows, cols) : packedByteLength(rows, cols)
}

function ternary(name: string, matrix: TernaryMatrix): Operand[] {
  const { rows, data, scales } = matrix
  return [
    operand(`${name}.data`, data, ternaryByteLength(matrix)),
    operand(`${name}.scales`, scales, padToTile(rows) * WORD),
  ]
}

function quantized(
  name: string,
  x: QuantizedBuffer,
  rows: number,
  cols: number,
  access: Access,
): Operand[] {
  return [
    operand(`${name}.q`, x.q, rows * padToTile(cols), access),
    operand(`${name}.scales`, x.scales, rows * WORD, access),
    operand(`${name}.sums`, x.sums, rows * WORD, access),
  ]
}

function cache(layer: LayerCache, access: Access): Operand[] {
  return [
    operand('cache.keys', layer.keys, keyCacheByteLength(layer), access),
    operand('cache.values', layer.values, valueCacheByteLength(layer), access),
  ]
}

function qkvByteLength(rows: number, nHeads: number, layer: LayerCache): number {
  return rows * (nHeads + 2 * layer.nKvHeads) * layer.headDim * WORD
}

/** All buffers of a command; its numbers need not be valid yet. */
export function operandsOf(command: Command): Operand[] {
  const { rows } = command
  switch (command.op) {
    case 'embed':
      return [
        step(rows, command.step),
        ...dense('table', command.table),
        operand('out', command.out, rows * command.table.cols * WORD, 'write'),
      ]
    case 'gather-rows':
      return [
        // At least one row; which ones are read depends on `index` (see step-inputs.ts).
        operand('x', command.x, command.cols * WORD),
        operand('index', command.index, rows * WORD),
        operand('out', command.out, rows * command.cols * WORD, 'write'),
      ]
    case 'rms-norm': {
      const byteLength = rows * command.cols * WORD
      return [
        operand('x', command.x, byteLength),
        operand('weight', command.weight, command.cols * WORD),
        operand('out', command.out, byteLength, command.accumulate ? 'update' : 'write'),
      ]
    }
    case 'quantize': {
      const { cols, weight } = command
      return [
        operand('x', command.x, rows * cols * WORD),
        ...(weight === undefined ? [] : [operand('weight', weight, cols * WORD)]),
        ...quantized('out', command.out, rows, cols, 'write'),
      ]
    }
    case 'ternary-matmul': {
      const { weights, accumulate, part } = command
      const access = accumulate || part !== undefined ? 'update' : 'write'
      return [
        ...ternary('weights', weights),
        ...quantized('x', command.x, rows, weights.cols, 'read'),
        operand('out', command.out, rows * weights.rows * WORD, access),
      ]
    }
    case 'dense-matmul': {
      const { weights, accumulate } = command
      const access = accumulate ? 'update' : 'write'
      return [
        ...dense('weights', weights),
        operand('x', command.x, rows * weights.cols * WORD),
        operand('out', command.out, rows * weights.rows * WORD, access),
      ]
    }
    case 'head-matmul': {
      const { weights } = command
      return [
        ...dense('weights', weights),
        operand('x', command.x, rows * weights.cols * WORD),
        operand('out', command.out, rows * weights.rows * WORD, 'write'),
      ]
    }
    case 'rope-cache': {
      const { nHeads, cache: layer, headNorms } = command
      const norms = headNorms === undefined ? [] : [headNorms.query, headNorms.key]
      return [
        step(rows, command.step),
        ...norms.map((norm) => operand('headNorms', norm, layer.headDim * WORD)),
        // At least one position; which ones are read depends on `step` (see step-inputs.ts).
        operand('rotations', command.rotations, layer.headDim * WORD),
        operand('qkv', command.qkv, qkvByteLength(rows, nHeads, layer), 'update'),
        ...cache(layer, 'update'),
      ]
    }
    case 'attention': {
      const { nHeads, cache: layer } = command
      return [
        step(rows, command.step),
        operand('qkv', command.qkv, qkvByteLength(rows, nHeads, layer)),
        ...cache(layer, 'read'),
        operand('out', command.out, rows * nHeads * layer.headDim * WORD, 'write'),
      ]
    }
    case 'token-scores':
      return [
        // At least one row; which ones are read depends on `pairs` (see step-inputs.ts).
        operand('logits', command.logits, command.cols * WORD),
        operand('pairs', command.pairs, rows * PAIR_WORDS * WORD),
        operand('out', command.out, rows * SCORE_FLOATS * WORD, 'write'),
      ]
    case 'pack-ternary': {
      const { codes, out } = command
      return [
        operand('codes', codes, (rows * out.cols) / (command.codesType === 'i2s' ? 4 : 1)),
        operand('out.data', out.data, ternaryByteLength(out), 'update'),
      ]
    }
    case 'pack-dense': {
      const { values, valuesType = 'f32', out } = command
      const byteLength = rows * out.cols * (valuesType === 'f32' ? WORD : WORD / 2)
      return [operand('values', values, byteLength), ...dense('out', out, 'update')]
    }
    case 'gated-activation':
      return [
        operand('gateUp', command.gateUp, rows * 2 * command.cols * WORD),
        operand('out', command.out, rows * command.cols * WORD, 'write'),
      ]
  }
}
