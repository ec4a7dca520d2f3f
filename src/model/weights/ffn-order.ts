/**
 * Whether the feed-forward's matrices lie so that what is exactly zero can be left out: rows of `up` whose gate is
 * not positive, columns of `down` whose input is 0 (ternary/orders.ts). With relu², most are, in trained models:
 * the authors of BitNet say more than 80 % (BitNet b1.58: Training Tips, Code and FAQ; BitNet a4.8). Results
 * are the same bits.
 */
import type { Backend } from '../../backends/backend.ts'
import { UsageError } from '../../errors.ts'
import { MAX_ORDERED_COLS } from '../../kernels/matrices.ts'
import { TILE } from '../../ternary/index.ts'
import type { ModelConfig } from '../config/config.ts'
import type { Part } from '../layers.ts'
import type { TernaryForm } from './build-weights.ts'

export const SPARSE_CHOICES = ['auto', 'on', 'off'] as const
export type SparseChoice = (typeof SPARSE_CHOICES)[number]

/** Whether a variant leaves zeros out faster than it multiplies them. */
function isQuick(backend: Pick<Backend, 'isa'> | undefined): boolean {
  return backend?.isa.startsWith('x86-') === true
}

/** Why a model has nothing that could be left out on this backend; undefined: it has. */
function obstacle(
  backend: Pick<Backend, 'isa'> | undefined,
  config: ModelConfig,
): string | undefined {
  const { linear, activation, inputNorms, dim, ffnDim } = config
  if (linear !== 'ternary') return 'its weights are not ternary'
  if (activation !== 'relu2') return `its activation is ${activation}, which is never exactly 0`
  if (config.experts) return 'its feed-forward is a mixture of experts'
  if (inputNorms) return 'each of its projections has a norm of its own'
  if (ffnDim % TILE !== 0) return `its feed-forward is ${ffnDim} wide, no multiple of ${TILE}`
  if (Math.max(dim, ffnDim) > MAX_ORDERED_COLS) return `it is wider than ${MAX_ORDERED_COLS}`
  if (backend?.isa.startsWith('webgpu')) return 'shaders multiply all of it'
  return undefined
}

/**
 * @param backend unset: any that could
 * @param asked 'auto' for models and backends that gain by it
 * @throws UsageError if 'on' is asked for and the model has no zeros to leave out, or the backend no products
 */
export function leavesZerosOut(
  backend: Pick<Backend, 'isa'> | undefined,
  config: ModelConfig,
  asked: SparseChoice,
): boolean {
  if (asked === 'off') return false
  const reason = obstacle(backend, config)
  if (asked === 'auto') return reason === undefined && isQuick(backend)
  if (reason === undefined) return true
  throw new UsageError(
    `Expected a model whose feed-forward can leave zeros out for sparse "on": ${reason}. Leave it at "auto".`,
  )
}

/** The form of a stack of ternary projections. */
export function ternaryForm(
  stack: Part['stack'],
  packing: TernaryForm['packing'],
  isSparse: boolean,
): TernaryForm {
  if (isSparse && stack === 'gateUp') return { packing, order: 'gated' }
  if (isSparse && stack === 'down') return { packing: '2bit', order: 'columns' }
  return { packing }
}
