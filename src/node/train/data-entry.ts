import { UsageError } from '../../errors.ts'

/**
 * What the lists of texts for training are written in: "path", "path=2" for what counts twice, or "path=2,1" for what
 * does so in the first half of the steps only.
 */
export interface DataEntry {
  readonly path: string
  readonly weight: number
  /** In the second half. Unset: the same. */
  readonly lateWeight?: number | undefined
}

const NUMBER = String.raw`\d+(?:\.\d+)?`
const ENTRY = new RegExp(`^(.*?)(?:=(${NUMBER})(?:,(${NUMBER}))?)?$`, 's')

export function parseDataEntry(entry: string): DataEntry {
  const [, path, weight, late] = ENTRY.exec(entry) ?? []
  return {
    ...{ path, weight: weight === undefined ? 1 : Number(weight) },
    ...(late !== undefined && { lateWeight: Number(late) }),
  }
}

/** As {@link parseDataEntry} where there are no halves. @throws UsageError for two weights */
export function parseWholeEntry(entry: string): DataEntry {
  const own = parseDataEntry(entry)
  if (own.lateWeight === undefined) return own
  throw new UsageError(`Expected one weight, as "path=2", got ${JSON.stringify(entry)}.`)
}
