/** What Muon needs beside the moments: room for one matrix at a time. */
import { ADAMW_NUMBERS } from '../kernels/adamw/reference.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'
import type { BufferOwner } from '../model/buffer-owner.ts'
import { muonFloats, muonParts, type TrainingPlan } from './plan.ts'

export interface MuonMemory {
  /** Numbers of the three sums before the products. */
  readonly momentum: DeviceBuffer
  readonly nesterov: DeviceBuffer
  readonly unit: DeviceBuffer
  /** Numbers of the step itself, by the longer side of a matrix. */
  readonly steps: ReadonlyMap<number, DeviceBuffer>
  /** Of one matrix at a time: u, X and what becomes of it, and a first moment that nothing is kept in. */
  readonly update: DeviceBuffer
  readonly from: DeviceBuffer
  readonly to: DeviceBuffer
  readonly unused: DeviceBuffer
  /** A, a multiple of it, and the polynomial. */
  readonly gram: DeviceBuffer
  readonly scaled: DeviceBuffer
  readonly polynomial: DeviceBuffer
  readonly squareSum: DeviceBuffer
}

/** @returns undefined for a run without Muon */
export function allocateMuon(owner: BufferOwner, plan: TrainingPlan): MuonMemory | undefined {
  const parts = muonParts(plan)
  if (parts.length === 0) return undefined
  const floats = (count: number, label: string) => owner.allocate(count * WORD, label)
  const numbers = () => floats(ADAMW_NUMBERS.length, 'numbers of the optimiser')
  const { matrix, square } = muonFloats(parts)
  return {
    momentum: numbers(),
    nesterov: numbers(),
    unit: numbers(),
    steps: new Map(
      [...new Set(parts.map(({ rows, cols }) => Math.max(rows, cols)))].map((side) => [
        side,
        numbers(),
      ]),
    ),
    update: floats(matrix, 'update'),
    from: floats(matrix, 'update made orthogonal'),
    to: floats(matrix, 'update made orthogonal'),
    unused: floats(matrix, 'unused moments'),
    gram: floats(square, 'products of an update'),
    scaled: floats(square, 'products of an update'),
    polynomial: floats(square, 'polynomial of an update'),
    squareSum: floats(1, 'norm of an update'),
  }
}
