/**
 * Neighbours in a list of commands that run as one job. A list's meaning stays what it is: what lies between
 * them is left out only if a later command of the list overwrites it, before anything reads it.
 */
import type { ValidCommand } from '../../kernels/commands.ts'
import { attendJob, mergedQuantize, mergeJob, rowsJob } from './attention-jobs.ts'
import { int8Jobs } from './dense-jobs.ts'
import { fewActivated, fewJob, fewTurned } from './few-jobs.ts'
import { Halves } from './halves.ts'
import { bindingOf, type Job, jobOf } from './jobs.ts'
import { isOp, isOverwritten, isSame, operandOf, type Valid } from './neighbours.ts'
import { activationOf, normedProduct } from './normed-product.ts'
import { stripeJobs } from './stripes.ts'
import { activatedShading, type Powers, tunedJobs } from './tuned.ts'

/** The jobs of a list. */
export function jobsOf(commands: readonly ValidCommand[], powers: Powers): Job[] {
  const jobs: Job[] = []
  const halves = new Halves()
  for (let at = 0; at < commands.length; ) {
    const fused =
      attended(commands, at, powers) ??
      normedProduct(commands, at, powers) ??
      activatedProduct(commands, at, powers) ??
      turnedProduct(commands, at, powers)
    const alone = () =>
      stripeJobs(commands[at], powers.bindingBytes) ??
      int8Jobs(commands[at], powers) ??
      fewAlone(commands[at], powers) ??
      tunedJobs(commands[at], powers, halves)
    jobs.push(...(fused?.jobs ?? alone()))
    const count = fused?.count ?? 1
    for (const command of commands.slice(at, at + count)) halves.forget(command)
    at += count
  }
  return jobs
}

/** What several commands from one on are run as. */
interface Fused {
  readonly jobs: readonly Job[]
  readonly count: number
}

/** Attention, with rope-cache before it and the product of what it gives if they are neighbours. */
function attended(
  commands: readonly ValidCommand[],
  at: number,
  powers: Powers,
): Fused | undefined {
  const turning = isTurnedByAttention(commands, at, powers) ? commands[at] : undefined
  const place = turning === undefined ? at : at + 1
  const attention = commands[place]
  if (!isOp(attention, 'attention')) return undefined
  const rows = turning ? undefined : rowsJob(attention, powers)
  if (rows !== undefined) return { jobs: [rows], count: 1 }
  const split = attendJob(attention, powers, turning as Valid<'rope-cache'> | undefined)
  if (split === undefined) return undefined
  const count = place - at + 1
  const merge = mergeJob(attention)
  if (merge === undefined) return { jobs: [split], count }
  const isLeftOut = isOverwritten(operandOf(attention, 'out'), commands, place + 2)
  const product = isLeftOut ? normedProduct(commands, place + 1, powers, attention) : undefined
  if (product !== undefined) return { jobs: [split, ...product.jobs], count: count + product.count }
  const next = commands[place + 1]
  const isNormed =
    isLeftOut && isOp(next, 'quantize') && isSame(next.command.x, attention.command.out)
  const quantize = isNormed ? mergedQuantize(attention, next, powers) : undefined
  return quantize ? { jobs: [split, quantize], count: count + 1 } : { jobs: [split, merge], count }
}

/** A product of few rows, and the activation of it. */
function activatedProduct(
  commands: readonly ValidCommand[],
  at: number,
  powers: Powers,
): Fused | undefined {
  const activation = activationOf(commands, at)
  const product = commands[at]
  if (activation === undefined || !isOp(product, 'ternary-matmul')) return undefined
  const few = fewActivated(product, activation, powers)
  if (few !== undefined) return { jobs: [few], count: 2 }
  const shading = activatedShading(product.command, activation.command.activation, powers)
  if (shading === undefined) return undefined
  const job = jobOf(product, shading)
  const out = bindingOf(operandOf(activation, 'out'))
  return { jobs: [{ ...job, bindings: [...job.bindings.slice(0, -1), out] }], count: 2 }
}

/** A product of few rows on matrices, and the heads that it gives turned and kept. */
function turnedProduct(
  commands: readonly ValidCommand[],
  at: number,
  powers: Powers,
): Fused | undefined {
  const job = fewTurned(commands[at], commands[at + 1], powers)
  return job && { jobs: [job], count: 2 }
}

function fewAlone(command: ValidCommand, powers: Powers): Job[] | undefined {
  const job = fewJob(command, powers)
  return job && [job]
}

/** Whether a command turns heads for the attention behind it alone. */
function isTurnedByAttention(
  commands: readonly ValidCommand[],
  at: number,
  powers: Powers,
): boolean {
  const [first, second] = commands.slice(at, at + 2)
  if (!isOp(first, 'rope-cache') || !isOp(second, 'attention')) return false
  const { rows, headNorms, qkv, step, cache, table, nHeads } = first.command
  const { command } = second
  return (
    rows === 1 &&
    command.rows === 1 &&
    headNorms === undefined &&
    attendJob(second, powers, first) !== undefined &&
    command.nHeads === nHeads &&
    isSame(command.qkv, qkv) &&
    isSame(command.step, step) &&
    isSame(command.cache.keys, cache.keys) &&
    isSame(command.cache.values, cache.values) &&
    isSame(command.table.data, table.data) &&
    isOverwritten(operandOf(first, 'qkv'), commands, at + 2)
  )
}
