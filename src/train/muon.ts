/**
 * Muon (Jordan et al. 2024) for the matrices of the layers: the step is the momentum with all its singular values
 * made nearly 1, by five steps of Newton and Schulz in float32,
 *
 *   m = 0.95 m + 0.05 g,   u = 0.95 m + 0.05 g                          Nesterov's; g is clipped as for AdamW
 *   X = u / |u|,   five times   X = 3.4445 X + (-4.775 A + 2.0315 A A) X,   A = X X^T     (X^T X where that is less)
 *   w = w (1 - lr decay) - lr 0.2 sqrt(max(rows, cols)) X
 *
 * The factor in front of X (Liu et al. 2025, arXiv 2502.16982) makes steps as large as AdamW's are, so that both
 * take one learning rate. AdamW's own operation multiplies and adds what is not a product here: with its second
 * moment left at 0 and eps 1 it is p = keep p - rate m, m = beta m + rest g, g times a factor that a norm decides.
 */
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import { bytesOf } from '../model/buffer-owner.ts'
import type { TrainingMemory } from './memory.ts'
import type { MuonMemory } from './muon-memory.ts'
import { muonParts, type PlannedPart, type TrainingPlan } from './plan.ts'
import { lossScaleOf } from './shape.ts'

const MUON = {
  momentum: 0.95,
  steps: 5,
  coefficients: [3.4445, -4.775, 2.0315],
  scale: 0.2,
} as const

/** Larger than any 1 over a norm that is told from 0: what is divided by it first is never below 1. */
const UNIT_SCALE = 2 ** 40

/** A step of all matrices, behind the sum of squares of all gradients. */
export function muonCommands(memory: TrainingMemory, plan: TrainingPlan): Command[] {
  const { muon } = memory
  if (muon === undefined) return []
  return muonParts(plan).flatMap((part) => partCommands(memory, muon, part))
}

function partCommands(memory: TrainingMemory, muon: MuonMemory, part: PlannedPart): Command[] {
  const { rows, cols } = part
  const own = (buffer: DeviceBuffer) => sliceOf(buffer, 0, part.count * WORD)
  const of = (arena: DeviceBuffer) => sliceOf(arena, part.first * WORD, part.count * WORD)
  const { arenas } = memory
  const update = own(muon.update)
  const sum = (
    parameters: BufferSlice,
    gradients: BufferSlice,
    means: BufferSlice,
    numbers: DeviceBuffer,
    squareSum: DeviceBuffer = memory.squareSum,
  ): Command => ({
    ...{ op: 'adamw', rows, cols, parameters, gradients, means, numbers, squareSum },
    squares: of(arenas.squares),
  })
  const unused = own(muon.unused)
  let [from, to] = [own(muon.from), own(muon.to)]
  const commands: Command[] = [
    sum(update, of(arenas.gradients), of(arenas.means), muon.momentum),
    sum(update, of(arenas.gradients), unused, muon.nesterov),
    { op: 'square-sum', rows, cols, x: update, out: muon.squareSum },
    sum(from, update, unused, muon.unit, muon.squareSum),
  ]
  for (let step = 0; step < MUON.steps; step++) {
    commands.push(...newtonSchulz(muon, part, from, to))
    ;[from, to] = [to, from]
  }
  const numbers = muon.steps.get(Math.max(rows, cols)) as DeviceBuffer
  return [...commands, sum(of(arenas.weights), from, unused, numbers)]
}

/** to = a X + (b A + c A A) X, with A the smaller of X X^T and X^T X. */
function newtonSchulz(
  muon: MuonMemory,
  part: PlannedPart,
  x: BufferSlice,
  to: BufferSlice,
): Command[] {
  const { rows, cols } = part
  const isWide = rows <= cols
  const [side, inner] = isWide ? [rows, cols] : [cols, rows]
  const [a, b, c] = MUON.coefficients
  const square = (buffer: DeviceBuffer) => sliceOf(buffer, 0, side * side * WORD)
  const [gram, scaled, polynomial] = [muon.gram, muon.scaled, muon.polynomial].map(square)
  const squares = { rows: side, cols: side }
  return [
    {
      ...{ op: 'matmul', ...squares, inner, a: x, b: x, out: gram },
      ...(isWide ? { transposeB: true } : { transposeA: true }),
    },
    { op: 'axpy', ...squares, scale: c, x: gram, out: scaled },
    { op: 'axpy', ...squares, scale: b, x: gram, out: polynomial },
    {
      ...{ op: 'matmul', ...squares, inner: side, a: scaled, b: gram },
      ...{ out: polynomial, accumulate: true },
    },
    { op: 'axpy', rows, cols, scale: a, x, out: to },
    {
      ...{ op: 'matmul', rows, cols, inner: side, out: to, accumulate: true },
      ...(isWide ? { a: polynomial, b: x } : { a: x, b: polynomial }),
    },
  ]
}

/** Writes the numbers of a step. */
export function writeMuonNumbers(
  { muon, owner }: TrainingMemory,
  plan: TrainingPlan,
  { rate, decay, clip }: { readonly rate: number; readonly decay: number; readonly clip: number },
): void {
  if (muon === undefined) return
  const { momentum } = MUON
  const write = (buffer: DeviceBuffer, numbers: Parameters<typeof sumNumbers>[0]) =>
    owner.backend.write(buffer, 0, bytesOf(sumNumbers(numbers)))
  const gradient = { rest: 1 - momentum, maxNorm: clip, scale: 1 / lossScaleOf(plan.shape) }
  write(muon.momentum, { keep: 0, rate: -1, beta: momentum, ...gradient })
  write(muon.nesterov, { keep: momentum, rate: -1, beta: 0, ...gradient })
  write(muon.unit, { keep: 0, rate: -1, beta: 0, rest: 1, maxNorm: 1, scale: UNIT_SCALE })
  for (const [side, buffer] of muon.steps) {
    write(buffer, {
      ...{ keep: 1 - rate * decay, rate: rate * MUON.scale * Math.sqrt(side) },
      ...{ beta: 0, rest: 1, maxNorm: 0, scale: 1 },
    })
  }
}

/** AdamW's numbers (kernels/adamw/reference.ts) for p = keep p - rate m, m = beta m + rest g. */
function sumNumbers(own: {
  readonly keep: number
  readonly rate: number
  readonly beta: number
  readonly rest: number
  readonly maxNorm: number
  readonly scale: number
}): Float32Array {
  const [beta2, rest2, rootBias, eps] = [1, 0, 0, 1]
  return Float32Array.of(
    ...[own.rate, own.keep, own.beta, own.rest],
    ...[beta2, rest2, rootBias, eps, own.maxNorm, own.scale],
  )
}
