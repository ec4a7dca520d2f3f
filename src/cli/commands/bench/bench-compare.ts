/**
 * `bitnet bench --compare`: how two results of `bitnet bench --json` differ, with both spreads.
 */
import { readFile, stat } from 'node:fs/promises'
import {
  type Comparison,
  compareMeasurements,
  measurementsOf,
} from '../../../bench/result-comparison.ts'
import { FormatError, UsageError } from '../../../errors.ts'
import { MAX_JSON_MARKS, parseJsonText } from '../../../formats/json-text.ts'
import type { CommandContext } from '../../command-context.ts'
import { readable } from '../../console/input.ts'
import { formatSpread } from '../../console/quantities.ts'
import type { ReportPart } from '../../console/table.ts'

/** A result of a thousand tests has some hundred kilobytes. */
const MAX_RESULT_BYTES = 16 << 20

export async function compareResults(
  files: readonly string[],
  context: CommandContext,
): Promise<void> {
  if (files.length !== 2) {
    throw new UsageError(`Expected two files after --compare, got ${files.length}.`)
  }
  const [a, b] = await Promise.all(files.map((path) => readable(path, () => read(path))))
  const comparison = compareMeasurements(a, b)
  if (comparison.compared.length === 0) {
    throw new UsageError(
      `Expected ${files[0]} and ${files[1]} to have a test in common, but they have none.`,
    )
  }
  await context.print({ files, ...comparison }, () => describeReport(comparison, files))
}

async function read(path: string): Promise<ReturnType<typeof measurementsOf>> {
  const { size } = await stat(path)
  if (size > MAX_RESULT_BYTES) {
    throw new FormatError(`Expected at most ${MAX_RESULT_BYTES} bytes in ${path}, got ${size}.`, {
      field: 'size',
      path,
    })
  }
  const text = await readFile(path, 'utf8')
  let value: unknown
  try {
    value = parseJsonText(text, MAX_JSON_MARKS)
  } catch (cause) {
    const message = `Expected ${path} to be the output of bitnet bench --json, got other text.`
    throw new FormatError(message, { field: 'first value', path, cause })
  }
  return measurementsOf(value, path)
}

function describeReport(
  { compared, onlyA, onlyB }: Comparison,
  [pathA, pathB]: readonly string[],
): ReportPart[] {
  const rows = compared.map(({ name, unit, a, b, speedup, standardDeviation, isClear }) => [
    name,
    unit,
    formatSpread(a),
    formatSpread(b),
    standardDeviation === 0
      ? speedup.toFixed(3)
      : `${speedup.toFixed(3)} ± ${standardDeviation.toFixed(3)}`,
    isClear ? (speedup > 1 ? 'faster' : 'slower') : 'no clear difference',
  ])
  const only = (names: readonly string[], path: string): string[] =>
    names.length === 0 ? [] : [`Only in ${path}: ${names.join('; ')}`]
  return [
    `a is ${pathA}, b is ${pathB}; a difference is clear beyond twice its spread.`,
    '',
    { header: ['test', 'unit', 'a', 'b', 'times as fast', ''], rows, right: [2, 3, 4] },
    ...only(onlyA, pathA),
    ...only(onlyB, pathB),
  ]
}
