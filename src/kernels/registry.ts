/**
 * All operations and their references, bound to commands: what a backend that runs in TypeScript
 * needs, and the list that tests go through.
 */
import type { CacheMemory } from './attention/cache-codec.ts'
import { attention } from './attention/reference.ts'
import type {
  Command,
  DenseMatrix,
  LayerCache,
  OpName,
  QuantizedBuffer,
  TernaryMatrix,
} from './commands.ts'
import type { PackedDense } from './dense-matmul/layout.ts'
import { denseMatmul } from './dense-matmul/reference.ts'
import { embed } from './embed/reference.ts'
import { gatedActivation } from './gated-activation/reference.ts'
import { gatherRows } from './gather-rows/reference.ts'
import { headMatmul } from './head-matmul/reference.ts'
import { packDenseRows, valuesAsFloats } from './pack-dense/reference.ts'
import { packBase3Rows, packRows, unpackI2s } from './pack-ternary/reference.ts'
import { type QuantizedRows, quantize } from './quantize/reference.ts'
import { rmsNorm } from './rms-norm/reference.ts'
import { ropeCache } from './rope-cache/reference.ts'
import type { BufferSlice } from './slice.ts'
import { type TernaryWeights, ternaryMatmul } from './ternary-matmul/reference.ts'
import { tokenScores } from './token-scores/reference.ts'

/** A slice's bytes; they begin at a multiple of 4 in their ArrayBuffer. */
export type Memory = (slice: BufferSlice) => Uint8Array

type CommandOf<Op extends OpName> = Extract<Command, { op: Op }>
type References = { readonly [Op in OpName]: (command: CommandOf<Op>, memory: Memory) => void }

function floats(memory: Memory, slice: BufferSlice): Float32Array {
  const bytes = memory(slice)
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
}

/** A slice as int32 words. */
export function sliceWords(memory: Memory, slice: BufferSlice): Int32Array {
  const bytes = memory(slice)
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
}

function dense(memory: Memory, matrix: DenseMatrix): PackedDense {
  const { type, rows, cols, data, scales } = matrix
  return {
    type,
    rows,
    cols,
    data: memory(data),
    scales: scales === undefined ? undefined : floats(memory, scales),
  }
}

function ternary(memory: Memory, matrix: TernaryMatrix): TernaryWeights {
  const { packing, rows, cols, data, scales } = matrix
  return { packing, rows, cols, bytes: memory(data), scales: floats(memory, scales) }
}

function quantized(memory: Memory, x: QuantizedBuffer): QuantizedRows {
  const q = memory(x.q)
  return {
    q: new Int8Array(q.buffer, q.byteOffset, q.byteLength),
    scales: floats(memory, x.scales),
    sums: sliceWords(memory, x.sums),
  }
}

function cacheMemory(memory: Memory, layer: LayerCache): CacheMemory {
  return { ...layer, keys: memory(layer.keys), values: memory(layer.values) }
}

const references: References = {
  embed(c, memory) {
    embed(
      floats(memory, c.out),
      sliceWords(memory, c.step),
      dense(memory, c.table),
      c.rows,
      c.factor,
    )
  },
  'gather-rows'(c, memory) {
    const index = sliceWords(memory, c.index)
    gatherRows(floats(memory, c.out), floats(memory, c.x), index, c.rows, c.cols)
  },
  'rms-norm'(c, memory) {
    const weight = floats(memory, c.weight)
    const { rows, cols, eps, accumulate } = c
    rmsNorm(floats(memory, c.out), floats(memory, c.x), weight, rows, cols, eps, accumulate)
  },
  quantize(c, memory) {
    const weight = c.weight === undefined ? undefined : floats(memory, c.weight)
    quantize(quantized(memory, c.out), floats(memory, c.x), weight, c.rows, c.cols, c.eps)
  },
  'ternary-matmul'(c, memory) {
    const weights = ternary(memory, c.weights)
    const { rows, accumulate, part } = c
    ternaryMatmul(floats(memory, c.out), quantized(memory, c.x), weights, rows, accumulate, part)
  },
  'dense-matmul'(c, memory) {
    const weights = dense(memory, c.weights)
    denseMatmul(floats(memory, c.out), floats(memory, c.x), weights, c.rows, c)
  },
  'head-matmul'(c, memory) {
    const weights = dense(memory, c.weights)
    headMatmul(floats(memory, c.out), floats(memory, c.x), weights, c.rows, c.exactStripes)
  },
  'rope-cache'(c, memory) {
    const cache = cacheMemory(memory, c.cache)
    const step = sliceWords(memory, c.step)
    const norms = c.headNorms && {
      query: floats(memory, c.headNorms.query),
      key: floats(memory, c.headNorms.key),
      eps: c.headNorms.eps,
    }
    const rotations = floats(memory, c.rotations)
    ropeCache(floats(memory, c.qkv), cache, step, rotations, c.rows, c.nHeads, norms)
  },
  attention(c, memory) {
    const cache = cacheMemory(memory, c.cache)
    const step = sliceWords(memory, c.step)
    const { rows, nHeads, window } = c
    attention(floats(memory, c.out), floats(memory, c.qkv), cache, step, rows, nHeads, window)
  },
  'gated-activation'(c, memory) {
    gatedActivation(floats(memory, c.out), floats(memory, c.gateUp), c.activation, c.rows, c.cols)
  },
  'token-scores'(c, memory) {
    const pairs = sliceWords(memory, c.pairs)
    tokenScores(floats(memory, c.out), floats(memory, c.logits), pairs, c.rows, c.cols)
  },
  'pack-ternary'(c, memory) {
    const { packing, rows, cols, data } = c.out
    const codes = memory(c.codes)
    const signed =
      c.codesType === 'i2s'
        ? unpackI2s(codes.subarray(0, (c.rows * cols) / 4))
        : new Int8Array(codes.buffer, codes.byteOffset, codes.byteLength)
    const pack = packing === 'base3' ? packBase3Rows : packRows
    pack({ rows, cols, bytes: memory(data) }, signed, c.rows, c.firstRow)
  },
  'pack-dense'(c, memory) {
    const { out, rows } = c
    const values = valuesAsFloats(memory(c.values), c.valuesType ?? 'f32', rows * out.cols)
    packDenseRows(dense(memory, out), values, rows, c.firstRow)
  },
}

/** Runs a command's reference. The command must be valid (validate.ts, step-inputs.ts). */
export function runReference<Op extends OpName>(command: CommandOf<Op>, memory: Memory): void {
  const run: (command: CommandOf<Op>, memory: Memory) => void = references[command.op as Op]
  run(command, memory)
}

/** Every operation: those of a decoder's pass in order, then those of loading. */
export const operationNames: readonly OpName[] = [
  'embed',
  'rms-norm',
  'quantize',
  'ternary-matmul',
  'dense-matmul',
  'head-matmul',
  'rope-cache',
  'attention',
  'gated-activation',
  'gather-rows',
  'token-scores',
  'pack-ternary',
  'pack-dense',
]
