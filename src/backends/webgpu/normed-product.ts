/** quantize, the ternary product of it and an activation as one job; see normed-product.wgsl. */
import type { ValidCommand } from '../../kernels/commands.ts'
import { ACTIVATIONS } from '../../kernels/gated-activation/reference.ts'
import { overlaps } from '../../kernels/slice.ts'
import { TILE } from '../../ternary/index.ts'
import { partsOf } from './attention-jobs.ts'
import { bindingOf, type Job } from './jobs.ts'
import { isOp, isOverwritten, isSame, operandOf, type Valid } from './neighbours.ts'
import { FEW_ROWS, MOST_VECTORS, type Powers, threadsOf } from './tuned.ts'

const ENDING = { store: 0, add: 1, activate: 2 }

/**
 * quantize and the ternary product of it, with the activation if it follows.
 *
 * @param attention whose blocks are put together on the way, in place of reading its result
 */
export function normedProduct(
  commands: readonly ValidCommand[],
  at: number,
  powers: Powers,
  attention?: Valid<'attention'>,
): { jobs: Job[]; count: number } | undefined {
  const [first, second] = commands.slice(at, at + 2)
  if (!isOp(first, 'quantize') || !isOp(second, 'ternary-matmul')) return undefined
  const { rows, cols, eps, x, weight, out: quantized } = first.command
  const { weights, out, accumulate, part } = second.command
  const isPair =
    rows <= FEW_ROWS &&
    second.command.rows === rows &&
    weights.cols === cols &&
    (weights.packing ?? '2bit') === '2bit' &&
    cols % TILE === 0 &&
    cols / 4 <= MOST_VECTORS * powers.threads &&
    (attention === undefined || isSame(attention.command.out, x)) &&
    isSame(quantized.q, second.command.x.q) &&
    isSame(quantized.scales, second.command.x.scales) &&
    isSame(quantized.sums, second.command.x.sums)
  if (!isPair) return undefined
  const between = ['out.q', 'out.scales', 'out.sums'].map((name) => operandOf(first, name))
  if (!between.every((own) => isOverwritten(own, commands, at + 2))) return undefined

  const activation = activationOf(commands, at + 1)?.command
  const isActivated = activation !== undefined
  const result = isActivated ? activation.out : out
  const kind = isActivated ? 'activated' : attention ? 'merged' : 'plain'
  const threads = threadsOf(cols, VECTORS[kind], powers)
  const shape = { cols, threads, isActivated, stripes: Math.ceil(weights.rows / TILE) }
  const stripes = stripesOf(shape, powers)
  const sources = [attention ? attention.command.step : x, weight, weights.data, weights.scales]
  if (stripes === 0 || sources.some((own) => own && overlaps(own, result))) return undefined

  const firstRow = part?.first ?? 0
  const count = part?.count ?? weights.rows
  const groups = isActivated ? activation.cols / TILE : Math.ceil(count / TILE / stripes)
  const ending = isActivated ? ENDING.activate : accumulate ? ENDING.add : ENDING.store
  const job: Job = {
    shader: 'normed-product',
    constants: {
      THREADS: threads,
      COLS: cols,
      IS_NORMED: Number(weight !== undefined),
      STRIPES: stripes,
      ENDING: ending,
      ACTIVATION: isActivated ? ACTIVATIONS.indexOf(activation.activation) : 0,
      ...(attention && { HAS_PARTS: 1, DIM: attention.command.cache.headDim }),
    },
    integers: [
      weights.rows,
      firstRow,
      firstRow + count,
      isActivated ? activation.cols / TILE : 0,
      attention?.command.table.columns ?? 0,
      attention?.command.nHeads ?? 0,
      attention?.command.window ?? 0,
    ],
    floats: [eps],
    bindings: [
      attention ? partsOf(attention, 'read') : bindingOf(operandOf(first, 'x')),
      bindingOf(operandOf(first, 'weight')),
      bindingOf(operandOf(second, 'weights.data')),
      bindingOf(operandOf(second, 'weights.scales')),
      attention && bindingOf(operandOf(attention, 'step')),
      { memory: result, access: accumulate || part ? 'update' : 'write' },
    ],
    written: [false, false, false, false, false, true],
    workgroups: [groups, rows],
    isFixed: true,
  }
  return { jobs: [job], count: isActivated ? 3 : 2 }
}

/** The activation behind the product at `at`, if nothing else reads what that gives. */
export function activationOf(
  commands: readonly ValidCommand[],
  at: number,
): Valid<'gated-activation'> | undefined {
  const [product, activation] = commands.slice(at, at + 2)
  if (!isOp(product, 'ternary-matmul') || !isOp(activation, 'gated-activation')) return undefined
  const { rows, weights, out, accumulate, part } = product.command
  const { gateUp, cols } = activation.command
  const isBehind =
    activation.command.rows === rows &&
    isSame(gateUp, out) &&
    2 * cols === weights.rows &&
    cols % TILE === 0 &&
    part === undefined &&
    !accumulate &&
    isOverwritten(operandOf(product, 'out'), commands, at + 2)
  return isBehind ? activation : undefined
}

/**
 * Vectors of a row for each invocation: most where there are the most workgroups, which then run all at once, and one
 * where each takes some work to put together.
 */
const VECTORS = { activated: 4, plain: 3, merged: 1 } as const

interface ProductShape {
  readonly cols: number
  readonly threads: number
  readonly isActivated: boolean
  readonly stripes: number
}

/** Stripes of a workgroup; 0 if there is no room even for the least. */
function stripesOf({ cols, threads, isActivated, stripes }: ProductShape, powers: Powers): number {
  const room = (count: number) => {
    const quads = Math.ceil(cols / 4 / threads) * threads * 4
    return quads + threads * (8 + 16 * count) + 1024 <= powers.workgroupBytes
  }
  if (isActivated) return room(2) ? 2 : 0
  // Where there are workgroups enough, two stripes share the norm of a row.
  if (stripes >= 128 && room(2)) return 2
  return room(1) ? 1 : 0
}
