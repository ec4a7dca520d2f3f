/**
 * Ternary products of a few tokens on int8 matrices, with what follows them as a part of them: the activation of gates
 * and ups, or heads that are turned and kept in the cache.
 */
import type { ValidCommand } from '../../kernels/commands.ts'
import { ACTIVATIONS } from '../../kernels/gated-activation/reference.ts'
import { CACHE_TYPES } from '../../kernels/storage.ts'
import { TILE } from '../../ternary/index.ts'
import { type Binding, bindingOf, type Job } from './jobs.ts'
import { isOp, isSame, operandOf, type Valid } from './neighbours.ts'
import { FEW_ROWS, type Powers, TILE_TOKENS } from './tuned.ts'

const ENDING = { store: 0, add: 1, activate: 2, turn: 3 }
/** Of workgroup memory, what a subgroup takes. */
const SUBGROUP_BYTES = 3840
/**
 * Most parts of the columns. Where there are workgroups enough without so many, two that have four of their rounds on
 * their way are faster.
 */
const PARTS = { most: 12, enough: 2, workgroups: 264 } as const

/**
 * A product of few tokens by itself.
 *
 * @returns undefined where there are no int8 matrices, or for other shapes
 */
export function fewJob(product: ValidCommand, powers: Powers): Job | undefined {
  if (!isFew(product, powers)) return undefined
  const { accumulate } = product.command
  const out = bindingOf(operandOf(product, 'out'))
  return jobWith(product, powers, out, { ENDING: accumulate ? ENDING.add : ENDING.store })
}

/** The same with the activation of its results in place of these. */
export function fewActivated(
  product: ValidCommand,
  activation: Valid<'gated-activation'>,
  powers: Powers,
): Job | undefined {
  if (!isFew(product, powers)) return undefined
  const ACTIVATION = ACTIVATIONS.indexOf(activation.command.activation)
  const out = bindingOf(operandOf(activation, 'out'))
  return jobWith(product, powers, out, { ENDING: ENDING.activate, ACTIVATION })
}

/** The same with rope-cache behind it; undefined where the two do not follow from each other. */
export function fewTurned(
  product: ValidCommand,
  turning: ValidCommand | undefined,
  powers: Powers,
): Job | undefined {
  if (!isFew(product, powers) || !isOp(turning, 'rope-cache')) return undefined
  const { rows, nHeads, headNorms, qkv, cache, table } = turning.command
  const { weights, out, accumulate, part } = product.command
  const { headDim, nKvHeads, type = 'f16' } = cache
  const isBehind =
    rows === product.command.rows &&
    isSame(qkv, out) &&
    weights.rows === (nHeads + 2 * nKvHeads) * headDim &&
    !accumulate &&
    part === undefined &&
    headNorms === undefined &&
    (type === 'f16' || type === 'f32') &&
    headDim % (2 * TILE) === 0
  if (!isBehind) return undefined
  const bound = (name: string) => bindingOf(operandOf(turning, name))
  const job = jobWith(product, powers, bindingOf(operandOf(product, 'out')), {
    ENDING: ENDING.turn,
    DIM: headDim,
    TYPE: CACHE_TYPES.indexOf(type),
  })
  const added = ['step', 'rotations', 'table.data', 'cache.keys', 'cache.values'].map(bound)
  return {
    ...job,
    integers: [...job.integers.slice(0, 4), nHeads, nKvHeads, table.columns],
    bindings: [...job.bindings.slice(0, 6), ...added],
  }
}

function isFew(
  product: ValidCommand,
  { int8Matrices }: Powers,
): product is Valid<'ternary-matmul'> {
  if (!isOp(product, 'ternary-matmul')) return false
  const { rows, weights } = product.command
  const { cols, packing = '2bit' } = weights
  const isOfRows = rows > FEW_ROWS && rows < TILE_TOKENS
  return isOfRows && int8Matrices && cols % 64 === 0 && packing === '2bit'
}

function jobWith(
  product: Valid<'ternary-matmul'>,
  powers: Powers,
  out: Binding | undefined,
  constants: NonNullable<Job['constants']>,
): Job {
  const { rows, weights, part } = product.command
  const { cols } = weights
  const first = part?.first ?? 0
  const count = part?.count ?? weights.rows
  const pairs = Math.ceil(count / TILE / 2)
  const parts = partsOf(cols / 64, pairs, powers)
  const DEPTH = pairs < PARTS.workgroups ? 1 : 4
  const bound = (name: string) => bindingOf(operandOf(product, name))
  const inputs = ['x.q', 'x.scales', 'x.sums', 'weights.data', 'weights.scales'].map(bound)
  return {
    shader: 'few-product',
    constants: { COLS: cols, THREADS: 32 * parts, DEPTH, ...constants },
    integers: [rows, weights.rows, first, count, 0, 0, 0],
    floats: [],
    bindings: [...inputs, out, undefined, undefined, undefined, unused('keys'), unused('values')],
    written: [false, false, false, false, false, true, false, false, false, true, true],
    workgroups: [pairs, Math.ceil(rows / TILE)],
  }
}

/** What a shader may write to must be bound, and to nothing that another binding is bound to. */
function unused(name: string): Binding {
  return { memory: { scratch: `no ${name}`, byteLength: 16 }, access: 'update' }
}

/** Parts that share so many steps: as many as there is use for, and of these what leaves the fewest idle. */
function partsOf(steps: number, groups: number, { threads, workgroupBytes }: Powers): number {
  const wanted = groups < PARTS.workgroups ? PARTS.most : PARTS.enough
  const most = Math.min(
    wanted,
    Math.floor(threads / 32),
    Math.floor(workgroupBytes / SUBGROUP_BYTES),
  )
  const idle = (parts: number) => Math.ceil(steps / parts) * parts - steps
  let best = most
  for (let parts = most - 1; 2 * parts >= most; parts--) if (idle(parts) < idle(best)) best = parts
  return best
}
