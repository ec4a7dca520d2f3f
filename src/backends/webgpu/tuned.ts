/**
 * Which shader runs a command on this device: base.wgsl does everywhere and for every shape; the others are
 * for the shapes of models, with sizes as constants.
 */
/// <reference types="@webgpu/types" />
import type { CausalAttentionCommand } from '../../kernels/causal-attention/op.ts'
import type { CausalAttentionBackwardCommand } from '../../kernels/causal-attention-backward/op.ts'
import type { ValidCommand } from '../../kernels/commands.ts'
import type { GatedActivationCommand } from '../../kernels/gated-activation/op.ts'
import { ACTIVATIONS } from '../../kernels/gated-activation/reference.ts'
import { type MatmulCommand, matmulWorkgroups } from '../../kernels/matmul/op.ts'
import type { QuantizeCommand } from '../../kernels/quantize/op.ts'
import { sequenceTiles } from '../../kernels/sequences.ts'
import { DENSE_TYPES } from '../../kernels/storage.ts'
import type { TernaryMatmulCommand } from '../../kernels/ternary-matmul/op.ts'
import { flatWorkgroups } from '../../kernels/workgroups.ts'
import { TILE } from '../../ternary/index.ts'
import type { Halves, Rounded } from './halves.ts'
import { baseJobs, type Job, type Shading } from './jobs.ts'

/** What shaders may use of a device. */
export interface Powers {
  /** Invocations of a workgroup. */
  readonly threads: number
  /** Bytes of a workgroup's memory. */
  readonly workgroupBytes: number
  /** Bytes of the largest binding, which no buffer is larger than unless it is cut. */
  readonly bindingBytes: number
  /** Products of int8 matrices of 16 x 32 and 32 x 16, by subgroups of 32. */
  readonly int8Matrices: boolean
  /** Products of matrices of 16 x 16 halves with float32 sums, by subgroups of 32. */
  readonly halfMatrices: boolean
}

/** Invocations for a row, with so many vectors for each if the device has so many of them. */
export function threadsOf(cols: number, vectors: number, { threads }: Powers): number {
  const all = Math.ceil(cols / 4 / 32) * 32
  return Math.min(Math.ceil(all / 32 / vectors) * 32, 32 * Math.floor(threads / 32))
}

/** Vectors of a row that an invocation of quantize/tuned.wgsl has. */
const QUANTIZED_VECTORS = 3

/** Tokens whose products share the weights that a workgroup reads. */
const TOKENS: readonly number[] = [1, 2, 4, 8]

/** The least of these that has room for all rows, or the most there are. */
export function tokensFor(rows: number): number {
  return TOKENS.find((count) => count >= rows) ?? TOKENS[TOKENS.length - 1]
}

/** From here on tiles of 64 tokens lose less than reading weights again. */
export const TILE_TOKENS = 25

/** Rows up to which every workgroup norms them anew. */
export const FEW_ROWS = 2
/** Rows and columns of a tile of training's products, and what two of its operands take of workgroup memory. */
const LARGE_TILE = 128
const MATMUL_BYTES = 2 * 16 * (LARGE_TILE / 4 + 1) * 16
/** The same of halves.wgsl, with steps of 64. */
const HALVES_BYTES = 2 * LARGE_TILE * (64 / 8 + 1) * 16

/** Rows of a workgroup of training's attention on matrices. */
const ATTENTION_TILE = 16
const BACKWARD_TILE = 32

/** The jobs of one command. @param halves what the jobs before it have left rounded */
export function tunedJobs(valid: ValidCommand, powers: Powers, halves: Halves): Job[] {
  const shading = shadingOf(valid, powers)
  return halves.add(valid, baseJobs(valid, shading), shading?.rounded ?? [])
}

type Tuned = Shading & { readonly rounded?: readonly Rounded[] }

function shadingOf({ command }: ValidCommand, powers: Powers): Tuned | undefined {
  switch (command.op) {
    case 'quantize':
      return quantizeShading(command, powers)
    case 'ternary-matmul':
      return ternaryShading(command, powers)
    case 'expert-matmul': {
      const { rows, experts, weights } = command
      const { cols, packing = '2bit' } = weights
      if (rows < TILE_TOKENS * experts || cols % 64 !== 0 || packing !== '2bit') return undefined
      return {
        shader: 'expert-matmul/tiles',
        constants: { COLS: cols },
        workgroups: [Math.ceil(weights.rows / experts / 64), Math.ceil(rows / 64)],
      }
    }
    case 'dense-matmul': {
      const { rows, weights } = command
      if (weights.cols % 4 !== 0 || weights.type === 'int8') return undefined
      const TYPE = DENSE_TYPES.indexOf(weights.type)
      return {
        shader: 'dense-matmul/tuned',
        constants: { COLS: weights.cols, TYPE, TOKENS: tokensFor(rows) },
        workgroups: [Math.ceil(weights.rows / TILE), Math.ceil(rows / tokensFor(rows))],
      }
    }
    case 'head-matmul': {
      const { rows, weights } = command
      if (weights.cols % 8 !== 0) return undefined
      return {
        shader: 'head-matmul/tuned',
        constants: { COLS: weights.cols, TOKENS: tokensFor(rows) },
        workgroups: [Math.ceil(weights.rows / TILE), Math.ceil(rows / tokensFor(rows))],
      }
    }
    case 'matmul': {
      const { rows, cols, transposeA = false, transposeB = false } = command
      if (command.halves && isOfTiles(command, powers)) {
        return {
          shader: 'matmul/halves',
          constants: { TRANSPOSE_A: Number(transposeA), TRANSPOSE_B: Number(transposeB) },
          workgroups: matmulWorkgroups(command, LARGE_TILE),
          rounded: [{ name: 'a' }, { name: 'b' }],
        }
      }
      if (rows < LARGE_TILE || cols < LARGE_TILE || powers.workgroupBytes < MATMUL_BYTES) {
        return undefined
      }
      return {
        shader: 'matmul/tuned',
        workgroups: matmulWorkgroups(command, LARGE_TILE),
      }
    }
    case 'causal-attention': {
      if (!isOfHalves(command, powers)) return undefined
      return {
        shader: 'causal-attention/halves',
        workgroups: [command.nHeads, sequenceTiles(command, ATTENTION_TILE)],
        rounded: [roundedHeads(command)],
      }
    }
    case 'causal-attention-backward': {
      if (!isOfHalves(command, powers)) return undefined
      return {
        shader: 'causal-attention-backward/halves',
        workgroups: [command.nHeads, sequenceTiles(command, BACKWARD_TILE)],
        finish: {
          shader: 'causal-attention-backward/finish-halves',
          workgroups: [command.nKvHeads, sequenceTiles(command, BACKWARD_TILE)],
        },
        rounded: [
          roundedHeads(command),
          { name: 'dOut', fragmentCols: command.nHeads * command.headDim },
        ],
      }
    }
    case 'gated-activation':
    case 'gated-activation-backward': {
      const { op, rows, cols } = command
      if (cols % 4 !== 0) return undefined
      return { shader: `${op}/tuned`, workgroups: flatWorkgroups((rows * cols) / 4) }
    }
    case 'dequantize': {
      const { rows, cols } = command
      if (cols % TILE !== 0) return undefined
      return { shader: 'dequantize/tuned', workgroups: flatWorkgroups((rows * cols) / 4) }
    }
    case 'rms-norm-backward': {
      const { cols } = command
      const VECTORS = Math.ceil(cols / 4 / 64)
      if (cols % 4 !== 0 || VECTORS > MOST_VECTORS) return undefined
      return { shader: 'rms-norm-backward/tuned', constants: { VECTORS } }
    }
    case 'sample':
      // A row is read by one workgroup.
      return {
        shader: 'sample',
        constants: { THREADS: threadsFor(powers) },
        workgroups: [command.rows, 1],
      }
    default:
      return undefined
  }
}

/** @returns undefined for rows that are no whole vectors or do not fit into registers */
export function quantizeShading(
  { rows, cols, weight }: QuantizeCommand,
  powers: Powers,
): Pick<Job, 'shader' | 'constants' | 'workgroups'> | undefined {
  if (cols % TILE !== 0 || cols / 4 > MOST_VECTORS * powers.threads) return undefined
  const THREADS = threadsOf(cols, QUANTIZED_VECTORS, powers)
  const constants = { THREADS, COLS: cols, IS_NORMED: Number(weight !== undefined) }
  return { shader: 'quantize/tuned', constants, workgroups: [rows, 1] }
}

/** Whether halves.wgsl runs a product: a subgroup's part is of the result or it is not. */
function isOfTiles(
  { rows, cols, inner }: MatmulCommand,
  { halfMatrices, workgroupBytes }: Powers,
): boolean {
  const hasRoom = halfMatrices && workgroupBytes >= HALVES_BYTES
  return hasRoom && rows % 64 === 0 && cols % 32 === 0 && inner % 64 === 0
}

/** Whether training's attention runs on matrices: heads of 64, and sequences of whole tiles. */
function isOfHalves(
  { halves, headDim, length }: CausalAttentionCommand | CausalAttentionBackwardCommand,
  { halfMatrices }: Powers,
): boolean {
  return halves === true && halfMatrices && headDim === 64 && length % 64 === 0
}

/** Queries, keys and values side by side. */
function roundedHeads({
  nHeads,
  nKvHeads,
  headDim,
}: CausalAttentionCommand | CausalAttentionBackwardCommand): Rounded {
  return { name: 'qkv', fragmentCols: (nHeads + 2 * nKvHeads) * headDim }
}

function threadsFor({ threads, workgroupBytes }: Powers): number {
  return threads >= 1024 && workgroupBytes >= 2 ** 15 ? 1024 : 256
}

function ternaryShading(command: TernaryMatmulCommand, powers: Powers): Shading | undefined {
  const { rows, weights } = command
  const { cols, packing = '2bit' } = weights
  if (cols % TILE !== 0 || packing !== '2bit') return undefined
  const count = rowsOf(command)
  const constants = { COLS: cols }
  if (isMatrix(command, powers)) return matrixShading(command, {})
  if (rows >= TILE_TOKENS && cols % 64 === 0) {
    return {
      shader: 'ternary-matmul/tiles',
      constants,
      workgroups: [Math.ceil(count / 64), Math.ceil(rows / 64)],
    }
  }
  return {
    shader: 'ternary-matmul/tuned',
    constants: { ...constants, TOKENS: tokensFor(rows) },
    workgroups: [Math.ceil(count / TILE), Math.ceil(rows / tokensFor(rows))],
  }
}

/** Whether matrix.wgsl runs a product. */
function isMatrix({ rows, weights }: TernaryMatmulCommand, { int8Matrices }: Powers): boolean {
  const { cols, packing = '2bit' } = weights
  return rows >= TILE_TOKENS && int8Matrices && cols % 64 === 0 && packing === '2bit'
}

function matrixShading(command: TernaryMatmulCommand, own: Shading['constants']): Shading {
  return {
    shader: 'ternary-matmul/matrix',
    constants: { COLS: command.weights.cols, ...own },
    workgroups: [Math.ceil(rowsOf(command) / 128), Math.ceil(command.rows / 64)],
  }
}

/** Rows of the matrix that are multiplied. */
function rowsOf({ weights, part }: TernaryMatmulCommand): number {
  return part?.count ?? weights.rows
}

/** A product of gates and ups with the activation behind it, in one; undefined where no shader does that. */
export function activatedShading(
  command: TernaryMatmulCommand,
  activation: GatedActivationCommand['activation'],
  powers: Powers,
): Shading | undefined {
  const ACTIVATION = ACTIVATIONS.indexOf(activation)
  return isMatrix(command, powers)
    ? matrixShading(command, { IS_ACTIVATED: 1, ACTIVATION })
    : undefined
}

/** Vectors of a row that an invocation keeps in registers. */
export const MOST_VECTORS = 16
