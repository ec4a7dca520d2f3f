/**
 * How int8 dense products run on a GPU: tokens become 16-bit integers once, in two planes of bytes, and sums are
 * integers, so that results are the reference's on whichever shader, alone or in a batch.
 */
import type { ValidCommand } from '../../kernels/commands.ts'
import { TILE } from '../../ternary/index.ts'
import { type Binding, bindingOf, type Job } from './jobs.ts'
import { isOp, operandOf } from './neighbours.ts'
import { MOST_VECTORS, type Powers, tokensFor } from './tuned.ts'

/** Tokens from which int8 matrices lose less than they gain. */
const MATRIX_ROWS = 3
/** Of split-tokens.wgsl. */
const THREADS = 256
/** Vectors of weights that an invocation asks for at once: many where there are few sums beside them. */
const AHEAD = { few: 5, many: 2 }

/** @returns undefined where only dense-matmul's own shaders fit */
export function int8Jobs(product: ValidCommand, powers: Powers): Job[] | undefined {
  if (!isOp(product, 'dense-matmul')) return undefined
  const { rows, weights, accumulate } = product.command
  const { cols, type } = weights
  if (type !== 'int8' || cols % 4 !== 0 || cols / 4 > MOST_VECTORS * THREADS) return undefined
  const x = bindingOf(operandOf(product, 'x'))
  const byteLength = rows * tokenBytes(cols)
  const split = (access: Binding['access']): Binding => ({
    memory: { scratch: 'split', byteLength },
    access,
  })
  const stripes = Math.ceil(weights.rows / TILE)
  const isMatrix = powers.int8Matrices && cols % 64 === 0 && rows >= MATRIX_ROWS
  const tokens = tokensFor(rows)
  const AHEAD_OF = tokens > 2 ? AHEAD.many : AHEAD.few
  return [
    {
      shader: 'split-tokens',
      constants: { COLS: cols },
      integers: [],
      floats: [],
      bindings: [x, split('write')],
      written: [false, true],
      workgroups: [rows, 1],
    },
    {
      ...(isMatrix
        ? {
            shader: 'int8-matrix',
            constants: { COLS: cols },
            workgroups: [Math.ceil(stripes / 8), Math.ceil(rows / TILE)],
          }
        : {
            shader: 'int8-product',
            constants: { COLS: cols, TOKENS: tokens, AHEAD: AHEAD_OF },
            workgroups: [stripes, Math.ceil(rows / tokens)],
          }),
      integers: [rows, weights.rows, Number(accumulate)],
      floats: [],
      bindings: [
        split('read'),
        bindingOf(operandOf(product, 'weights.data')),
        bindingOf(operandOf(product, 'weights.scales')),
        bindingOf(operandOf(product, 'out')),
      ],
      written: [false, false, false, true],
    },
  ]
}

/** Bytes of a token in both planes, and what one of its integers is worth. */
function tokenBytes(cols: number): number {
  return ((2 * (cols / 4) + 4) & ~3) * 4
}
