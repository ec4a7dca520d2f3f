/**
 * Adapters beside frozen matrices and their gradients, as commands. With xn the float input of a matrix, behind its norm
 * and not quantised, and s = alpha / rank:
 *
 *   u = s xn A^T,   y += u B^T                              forward
 *   dB += dy^T u,   du = s dy B,   dA += du^T xn,   dxn += du A
 *
 * Matrices with one input lie stacked, and so do their results, side by side: what belongs to one of them is taken out
 * and added by rows of a width that all of them are multiples of.
 */
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import { rowColumns } from '../kernels/step-inputs.ts'
import { type BufferOwner, bytesOf } from '../model/buffer-owner.ts'
import type { Stack } from '../model/layers.ts'
import { linearParts, scaleOf } from './low-rank-plan.ts'
import { type Parameter, type TrainingPlan, widestLinear } from './plan.ts'
import { rowsOf } from './shape.ts'

/** What lies beside one matrix of a stack. */
export interface TrainedAdapter {
  readonly a: Parameter
  readonly b: Parameter
  /** Rows of the matrix. */
  readonly rows: number
  /** Where its columns lie in the stack's result; undefined: they are all of it. */
  readonly places: AdapterPlaces | undefined
}

export interface AdapterPlaces {
  /** For each row and each piece of `unit` floats. */
  readonly index: DeviceBuffer
  readonly unit: number
}

/** Memory of adapters whose content lasts a few commands. */
export interface AdapterScratch {
  readonly rank: number
  readonly scale: number
  /** u and its gradient, (rows, rank). */
  readonly low: BufferSlice
  readonly dLow: BufferSlice
  /** The columns of one matrix of a stack. */
  readonly part: BufferSlice
}

/** Rows of the matrices of a stack, the same in each layer. */
function stackRows({ shape }: TrainingPlan, stack: Stack): number[] {
  return linearParts(shape.model)
    .filter((part) => part.layer === 0 && part.stack === stack)
    .map(({ rows }) => rows)
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}

/** @returns undefined for a run without adapters */
export function allocateAdapterScratch(
  owner: BufferOwner,
  plan: TrainingPlan,
): AdapterScratch | undefined {
  const { lora } = plan.shape
  if (lora === undefined) return undefined
  const floats = (cols: number, label: string) =>
    owner.allocate(rowsOf(plan.shape) * cols * WORD, label)
  return {
    rank: lora.rank,
    scale: scaleOf(lora),
    low: floats(lora.rank, 'inputs in low rank'),
    dLow: floats(lora.rank, 'gradients in low rank'),
    part: floats(widestLinear(plan.shape.model), 'columns of an adapter'),
  }
}

/** The places of each matrix of a stack. */
export function allocatePlaces(
  owner: BufferOwner,
  plan: TrainingPlan,
  stack: Stack,
): (AdapterPlaces | undefined)[] {
  const parts = stackRows(plan, stack)
  if (parts.length === 1) return [undefined]
  const unit = parts.reduce(greatestDivisor)
  const all = parts.reduce((sum, rows) => sum + rows, 0) / unit
  const rows = rowsOf(plan.shape)
  let first = 0
  return parts.map((own) => {
    const count = own / unit
    const index = owner.allocateIndices(rows * count, rowColumns(rows * all), 'columns of adapters')
    const places = Int32Array.from(
      { length: rows * count },
      (_, i) => Math.floor(i / count) * all + first + (i % count),
    )
    owner.backend.write(index, 0, bytesOf(places))
    first += count
    return { index, unit }
  })
}

interface AdapterInput {
  readonly rows: number
  readonly cols: number
  /** xn */
  readonly values: BufferSlice
}

/** u of an adapter. */
function lowered(
  { a }: TrainedAdapter,
  { rows, cols, values }: AdapterInput,
  { rank, scale, low }: AdapterScratch,
): Command[] {
  return [
    {
      ...{ op: 'matmul', rows, cols: rank, inner: cols, transposeB: true },
      ...{ a: values, b: a.weights, out: low },
    },
    { op: 'axpy', rows, cols: rank, scale, x: low, out: low },
  ]
}

/** Adds what adapters give to a stack's result. */
export function adapterForward(
  adapters: readonly TrainedAdapter[],
  input: AdapterInput,
  scratch: AdapterScratch,
  out: BufferSlice,
): Command[] {
  const { rank, low, part } = scratch
  return adapters.flatMap((adapter): Command[] => {
    const { b, places, rows: cols } = adapter
    const { rows } = input
    const product = { rows, cols, inner: rank, a: low, b: b.weights, transposeB: true }
    const commands = lowered(adapter, input, scratch)
    if (places === undefined) {
      return [...commands, { op: 'matmul', ...product, out, accumulate: true }]
    }
    const { index, unit } = places
    return [
      ...commands,
      { op: 'matmul', ...product, out: part },
      { op: 'scatter-add', rows: rows * (cols / unit), cols: unit, x: part, index, out },
    ]
  })
}

/** Adds the gradients of adapters, and what comes through them to dInput. */
export function adapterBackward(
  adapters: readonly TrainedAdapter[],
  input: AdapterInput,
  scratch: AdapterScratch,
  { dOut, dInput }: { dOut: BufferSlice; dInput: BufferSlice },
): Command[] {
  const { rank, scale, low, dLow, part } = scratch
  const { rows, cols: inputs, values } = input
  return adapters.flatMap((adapter): Command[] => {
    const { a, b, places, rows: cols } = adapter
    const commands = lowered(adapter, input, scratch)
    let dy = dOut
    if (places !== undefined) {
      const { index, unit } = places
      dy = sliceOf(part, 0, rows * cols * WORD)
      commands.push({
        ...{ op: 'gather-rows', rows: rows * (cols / unit), cols: unit },
        ...{ x: dOut, index, out: dy },
      })
    }
    const learnt = { transposeA: true, accumulate: true } as const
    return [
      ...commands,
      {
        ...{ op: 'matmul', rows: cols, cols: rank, inner: rows, ...learnt },
        ...{ a: dy, b: low, out: b.gradient },
      },
      { op: 'matmul', rows, cols: rank, inner: cols, a: dy, b: b.weights, out: dLow },
      { op: 'axpy', rows, cols: rank, scale, x: dLow, out: dLow },
      {
        ...{ op: 'matmul', rows: rank, cols: inputs, inner: rows, ...learnt },
        ...{ a: dLow, b: values, out: a.gradient },
      },
      {
        ...{ op: 'matmul', rows, cols: inputs, inner: rank, a: dLow, b: a.weights },
        ...{ out: dInput, accumulate: true },
      },
    ]
  })
}
