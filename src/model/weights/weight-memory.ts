/**
 * The bytes that weights take in memory: of loaded ones, and of those that would be loaded, by the shapes
 * in a file's header alone. WebAssembly has two kinds of memory, and the choice between them cannot be
 * changed later.
 */

import type { ModelFile } from '../../formats/model-file.ts'
import type { DenseMatrix, TernaryMatrix } from '../../kernels/matrices.ts'
import { WholeBuffer } from '../../kernels/slice.ts'
import type { CacheType, DenseType, TernaryPacking } from '../../kernels/storage.ts'
import { padToTile } from '../../ternary/index.ts'
import { cacheBytesPerToken } from '../cache/kv-cache.ts'
import type { ModelConfig } from '../config/config.ts'
import type { DecoderWeights, LinearWeights } from '../forward.ts'
import { normsOf, type Part, stackShape, stacksOf } from '../layers.ts'
import { buildWeights, type WeightForms } from './build-weights.ts'
import { type HeadType, projectionType, tableType } from './dense-weights.ts'
import { leavesZerosOut, type SparseChoice, ternaryForm } from './ffn-order.ts'
import { denseBuffers, ternaryBuffers } from './matrix-writer.ts'
import { type PlannedPart, planWeights } from './weight-plan.ts'

/** Bytes of weights in memory. */
export interface WeightBytes {
  /** Ternary weights in their packed layout, with a scale a row. */
  readonly ternaryBytes: number
  /** Embedding, head, norms, and the projections of a dense model. */
  readonly denseBytes: number
  /** Of the dense ones, those of embedding and head. */
  readonly tableBytes: number
}

export interface WeightMemory extends Omit<WeightBytes, 'tableBytes'> {
  /** How embedding and head are held. */
  readonly head: DenseType
  readonly packing: TernaryPacking
}

/**
 * What {@link loadWeights} will allocate. Two things only the weights themselves tell: an f16 matrix
 * with a value beyond 65,504 becomes f32, and `weights: 'auto'`, taken as 2bit here, may become base3.
 * `sparse: 'auto'`, taken as off, changes a matrix by less than 256 rows.
 *
 * @throws FormatError if the file lacks a tensor; UsageError if `head` is none of its values, or if the model has
 *   no zeros to leave out for `sparse: 'on'`
 */
export function weightMemory(
  file: ModelFile,
  config: ModelConfig,
  options: {
    readonly head?: HeadType | undefined
    readonly weights?: 'auto' | TernaryPacking | undefined
    readonly sparse?: SparseChoice | undefined
  } = {},
): WeightMemory {
  const packing = options.weights === 'base3' ? 'base3' : '2bit'
  const isSparse = options.sparse === 'on' && leavesZerosOut(undefined, config, 'on')
  const forms = formsInFile(config, options.head, packing, isSparse)
  const weights = plannedWeights(planWeights(file, config), forms)
  const { ternaryBytes, denseBytes } = weightBytes(weights)
  return { ternaryBytes, denseBytes, head: weights.head.type, packing }
}

/**
 * Positions of the cache that count where nobody has said what it may take: it grows with what is used, and many
 * models name far longer contexts than that.
 */
const COUNTED_POSITIONS = 8192

/**
 * Bytes of the weights as they will be loaded, and of the cache: all that it may take, if that was said, or a
 * sequence of the model's context, of which 8,192 positions count. Activations, some megabytes, are not in it.
 *
 * @param options `cacheMemory` in MiB
 * @throws FormatError if the file lacks a tensor
 */
export function estimateMemory(
  file: ModelFile,
  config: ModelConfig,
  options: Parameters<typeof weightMemory>[2] & {
    readonly kv?: CacheType | undefined
    readonly cacheMemory?: number | undefined
  },
): number {
  const { ternaryBytes, denseBytes } = weightMemory(file, config, options)
  if (options.cacheMemory !== undefined) {
    return ternaryBytes + denseBytes + options.cacheMemory * 2 ** 20
  }
  const positions = padToTile(Math.min(config.contextLength, COUNTED_POSITIONS))
  return ternaryBytes + denseBytes + positions * cacheBytesPerToken(config, options.kv ?? 'f16')
}

/** How the weights of a file are held; but for the packing, their types and sizes say all. */
export function formsInFile(
  { linear }: ModelConfig,
  head: HeadType | undefined,
  packing: TernaryPacking,
  isSparse = false,
): WeightForms<PlannedPart> {
  return {
    table: (part) => tableType(part, head),
    linear: (stack) =>
      linear === 'ternary' ? ternaryForm(stack[0].stack, packing, isSparse) : projectionType(stack),
  }
}

/** Weights with the sizes of real ones and no memory behind them. */
export function plannedWeights<P extends Part>(
  parts: readonly P[],
  forms: WeightForms<P>,
): DecoderWeights {
  const planned = (byteLength: number, label: string) => new WholeBuffer(label, byteLength)
  const allocator = { allocate: planned }
  return buildWeights(parts, forms, {
    dense: (stack, type, label) => denseBuffers(allocator, { type, ...stackShape(stack) }, label),
    ternary: (stack, form, label) =>
      ternaryBuffers(allocator, { ...form, ...stackShape(stack) }, label),
    norm: ({ rows, role }) => planned(rows * 4, role),
  })
}

/** What weights take, whether planned or loaded. */
export function weightBytes(weights: DecoderWeights): WeightBytes {
  const { embedding, head, layers, finalNorm } = weights
  const linear = layers.flatMap(stacksOf)
  const bytesOfKind = (kind: LinearWeights['kind']) =>
    sum(linear.filter((one) => one.kind === kind).map(({ matrix }) => matrixBytes(matrix)))
  const tableBytes = matrixBytes(embedding) + (head === embedding ? 0 : matrixBytes(head))
  const norms = [finalNorm, ...layers.flatMap((layer) => normsOf(layer))]
  const normBytes = sum(norms.map(({ byteLength }) => byteLength))
  const routerBytes = sum(layers.map(({ router }) => (router ? matrixBytes(router) : 0)))
  const denseBytes = tableBytes + normBytes + routerBytes + bytesOfKind('dense')
  return { ternaryBytes: bytesOfKind('ternary'), denseBytes, tableBytes }
}

function matrixBytes({ data, scales }: TernaryMatrix | DenseMatrix): number {
  return data.byteLength + (scales?.byteLength ?? 0)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
