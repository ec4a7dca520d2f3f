/**
 * Commands on a dense matrix that is too large to be bound: a dispatch of base.wgsl for each part of the matrix's
 * memory, which has whole stripes of 16 rows. What a shader counts from the matrix's start it goes on counting so:
 * its numbers say that the binding begins that many words earlier, and sums of 32 bits come out right.
 */
import type { ValidCommand } from '../../kernels/commands.ts'
import { cutByteLength } from '../../kernels/dense-matmul/layout.ts'
import type { DenseMatrix } from '../../kernels/matrices.ts'
import { sliceOf } from '../../kernels/slice.ts'
import { partBytesOf } from './gpu-memory.ts'
import { type Job, jobOf } from './jobs.ts'
import { operandOf } from './neighbours.ts'

/**
 * @param mostBytes that can be bound
 * @returns undefined for a command that has no such matrix
 */
export function stripeJobs(valid: ValidCommand, mostBytes: number): Job[] | undefined {
  const found = matrixOf(valid)
  if (found === undefined) return undefined
  const { matrix, name } = found
  const { data } = matrix
  const unit = cutByteLength(matrix.type, matrix.cols)
  if (data.byteLength <= mostBytes || unit === undefined) return undefined
  const partBytes = partBytesOf(unit, mostBytes)
  const place = valid.operation.slices.findIndex((slice) => slice.name === name)
  const access = operandOf(valid, name)?.access
  if (partBytes === undefined || access === undefined) return undefined
  const whole = jobOf(valid)
  const jobs: Job[] = []
  for (let at = 0; at < data.byteLength; at += partBytes) {
    const byteLength = Math.min(partBytes, data.byteLength - at)
    const [first, count] = [at / unit, byteLength / unit]
    const memory = sliceOf(data, at, byteLength)
    jobs.push({
      ...whole,
      constants: { FIRST: first, END: first + count },
      bindings: whole.bindings.map((own, i) => (i === place ? { memory, access } : own)),
      before: { binding: place, words: at / 4 },
      workgroups:
        valid.command.op === 'dense-matmul' ? [count, whole.workgroups[1]] : whole.workgroups,
    })
  }
  return jobs
}

/** The matrix that a command may have by parts, and its slice's name. */
function matrixOf({ command }: ValidCommand): { matrix: DenseMatrix; name: string } | undefined {
  switch (command.op) {
    case 'dense-matmul':
      return { matrix: command.weights, name: 'weights.data' }
    case 'embed':
      return { matrix: command.table, name: 'table.data' }
    case 'pack-dense':
      return { matrix: command.out, name: 'out.data' }
    default:
      return undefined
  }
}
