/**
 * Single operations at the shapes of a named model, made to be timed: copies of everything that a decode
 * step would read from memory, so that none of it comes from a cache.
 */

import {
  ATTENTION_CHUNK,
  keyCacheByteLength,
  valueCacheByteLength,
} from '../kernels/attention/layout.ts'
import { denseByteLength, hasRowScales } from '../kernels/dense-matmul/layout.ts'
import { blockColumns, type QuantizedBuffer, ternaryByteLength } from '../kernels/matrices.ts'
import type { Command } from '../kernels/ops.ts'
import { STEP_WORDS, stepColumns } from '../kernels/step.ts'
import type { CacheType, DenseType, TernaryPacking } from '../kernels/storage.ts'
import { headProduct } from '../model/forward.ts'
import { padToTile } from '../ternary/index.ts'
import { denseBytes } from './costs.ts'
import { type Fill, RANDOM } from './fill-buffer.ts'
import type { Allocate, IndexFill } from './pass-timing.ts'
import type { ModelShape, ProductShape } from './shapes.ts'

export interface KernelCase {
  /** "gate and up 13824 x 2560, 8 tokens" */
  readonly name: string
  /** Bytes of weights or cache that one command reads. */
  readonly bytes: number
  /** Multiply-accumulates of one command; 0 where it does something else. */
  readonly macs: number
  /** They are of int8 numbers with 2-bit codes, so that the integer peak is their limit. */
  readonly isTernary?: boolean
  /** Makes what all copies share and returns what makes one copy. */
  prepare(allocate: Allocate): () => Command
}

/** Buffers of float32 or int32. */
const WORD = 4

function plural(tokens: number): string {
  return tokens === 1 ? '1 token' : `${tokens} tokens`
}

function quantizedRows(allocate: Allocate, rows: number, cols: number): QuantizedBuffer {
  return {
    q: allocate(rows * padToTile(cols), 'activations', RANDOM.bytes),
    scales: allocate(rows * WORD, 'activation scales', RANDOM.floats),
    sums: allocate(rows * WORD, 'activation sums', 0),
  }
}

export function ternaryCase(
  { name, rows, cols }: ProductShape,
  tokens: number,
  packing: TernaryPacking = '2bit',
): KernelCase {
  const bytes = ternaryByteLength({ packing, rows, cols })
  const note = packing === '2bit' ? '' : ` ${packing}`
  return {
    name: `${name} ${rows} x ${cols}${note}, ${plural(tokens)}`,
    bytes,
    macs: tokens * rows * cols,
    isTernary: true,
    prepare(allocate) {
      const x = quantizedRows(allocate, tokens, cols)
      const scales = allocate(padToTile(rows) * WORD, 'row scales', RANDOM.floats)
      const out = allocate(tokens * rows * WORD, 'product', 0)
      return () => {
        const data = allocate(bytes, 'weights', RANDOM[packing], 'weights')
        const weights = { packing, rows, cols, data, scales }
        return { op: 'ternary-matmul', rows: tokens, weights, x, out, accumulate: false }
      }
    },
  }
}

function denseFill(type: DenseType): Fill {
  if (type === 'f32') return RANDOM.floats
  return type === 'f16' ? RANDOM.halves : RANDOM.bytes
}

/** The product with the vocabulary: with int4 nearly for all rows, exactly for the best stripes. */
export function headCase(
  { vocabSize: rows, dim: cols }: ModelShape,
  type: DenseType,
  tokens: number,
): KernelCase {
  const byteLength = denseByteLength(type, rows, cols)
  return {
    name: `head ${type} ${rows} x ${cols}, ${plural(tokens)}`,
    bytes: denseBytes({ type, rows, cols, data: { byteLength } }),
    macs: tokens * rows * cols,
    prepare(allocate) {
      const x = allocate(tokens * cols * WORD, 'x', RANDOM.floats)
      const out = allocate(tokens * rows * WORD, 'logits', 0)
      return () => {
        const data = allocate(byteLength, 'head', denseFill(type), 'weights')
        const scales = hasRowScales(type)
          ? allocate(padToTile(rows) * WORD, 'head scales', RANDOM.floats)
          : undefined
        return headProduct(tokens, { type, rows, cols, data, scales }, x, out)
      }
    },
  }
}

/** Rows of one sequence that attend to all positions before them, `positions` for the last one. */
export function attentionCase(
  { nHeads, nKvHeads, headDim }: ModelShape,
  positions: number,
  rows: number,
  type: CacheType,
): KernelCase {
  const blocks = Math.ceil(positions / ATTENTION_CHUNK)
  const capacity = blocks * ATTENTION_CHUNK
  const shape = { type, blocks, nKvHeads, headDim }
  const keyBytes = keyCacheByteLength(shape)
  const valueBytes = valueCacheByteLength(shape)
  const attended = rows * (positions - (rows - 1) / 2)
  return {
    name: `attention ${nHeads}/${nKvHeads} heads ${type}, ${positions} positions, ${plural(rows)}`,
    bytes: ((keyBytes + valueBytes) * positions) / capacity,
    macs: 2 * nHeads * headDim * attended,
    prepare(allocate) {
      const step = allocate(rows * STEP_WORDS * WORD, 'step', lastSteps(positions, rows, capacity))
      const qkv = allocate(rows * (nHeads + 2 * nKvHeads) * headDim * WORD, 'qkv', RANDOM.floats)
      const out = allocate(rows * nHeads * headDim * WORD, 'mixed', 0)
      const fill = type === 'f32' ? RANDOM.floats : RANDOM.halves
      return () => {
        const keys = allocate(keyBytes, 'keys', fill)
        const values = allocate(valueBytes, 'values', fill)
        const cache = { ...shape, keys, values }
        const data = allocate(blocks * WORD, 'block table', inOrder(blocks))
        const table = { data, slots: 1, columns: blocks }
        return { op: 'attention', rows, nHeads, step, qkv, cache, table, out }
      }
    },
  }
}

/** Token 0 of slot 0 at the last `rows` of the positions. */
function lastSteps(positions: number, rows: number, capacity: number): IndexFill {
  const values = new Int32Array(rows * STEP_WORDS)
  for (let row = 0; row < rows; row++) values[row * STEP_WORDS + 2] = positions - rows + row
  return { columns: stepColumns({ tokens: 1, slots: 1, positions: capacity }), values }
}

/** The blocks of one sequence. */
function inOrder(blocks: number): IndexFill {
  return { columns: blockColumns(blocks), values: Int32Array.from({ length: blocks }, (_, i) => i) }
}

/** RMSNorm and int8 of a layer's input. */
export function quantizeCase({ dim: cols }: ModelShape, tokens: number): KernelCase {
  return {
    name: `norm and quantize ${cols}, ${plural(tokens)}`,
    bytes: tokens * cols * WORD,
    macs: 0,
    prepare(allocate) {
      const weight = allocate(cols * WORD, 'norm', RANDOM.floats)
      const out = quantizedRows(allocate, tokens, cols)
      return () => {
        const x = allocate(tokens * cols * WORD, 'x', RANDOM.floats)
        return { op: 'quantize', rows: tokens, cols, eps: 1e-5, x, weight, out }
      }
    },
  }
}
