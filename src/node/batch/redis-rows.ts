/** A batch as a hash of Redis. */
import type { Batch } from '../../server/batch/store.ts'

/** What does not change is one field of JSON; the others are fields of their own. */
export function rowOf(batch: Omit<Batch, 'counts'>): Record<string, string | number> {
  const { status, endedAt, cancelledAt, outputFile, errorFile, ...fixed } = batch
  const changing = Object.entries({ status, endedAt, cancelledAt, outputFile, errorFile })
  const known = changing.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  return { ...Object.fromEntries(known), fixed: JSON.stringify(fixed) }
}

/** @returns undefined where there is none */
export function batchOf(row: Record<string, string>): Batch | undefined {
  if (row.fixed === undefined) return undefined
  const secondsOf = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  return {
    ...JSON.parse(row.fixed),
    status: row.status,
    endedAt: secondsOf(row.endedAt),
    cancelledAt: secondsOf(row.cancelledAt),
    outputFile: row.outputFile,
    errorFile: row.errorFile,
    counts: {
      total: Number(row.total),
      completed: Number(row.completed),
      failed: Number(row.failed),
    },
  }
}
