/**
 * `bitnet convert --verify`: whether two files hold the same model.
 */
import type { ModelComparison } from '../../../convert/index.ts'
import { compareFiles } from '../../../node/convert/compare-files.ts'
import { resolveModel } from '../../../node/resolve-model.ts'
import type { CommandContext } from '../../command-context.ts'
import { formatCount } from '../../console/quantities.ts'
import { EXIT } from '../../console/surroundings.ts'
import type { Fact, ReportPart, Table } from '../../console/table.ts'
import { shownNames } from './convert-report.ts'

const AS_NEAR = 'as near as the types allow'

/** Exits with 1 if they differ by more than their types round. */
export async function verifyConversion(
  a: string,
  b: string,
  context: CommandContext,
): Promise<void> {
  const { signal, status } = context
  const comparison = await compareFiles(await resolveModel(a), await resolveModel(b), {
    signal,
    onProgress: ({ doneTensors, tensors, tensor }) =>
      status.show(`Comparing: ${doneTensors} of ${tensors}, ${tensor}`),
  })
  if (!comparison.isWithinBounds) context.exitCode = EXIT.failure
  await context.print({ a, b, ...comparison }, () => describeComparison(a, b, comparison))
}

function describeComparison(a: string, b: string, found: ModelComparison): ReportPart[] {
  const { ternaryTensors, ternaryWeights, denseTensors, equalCodes, ternary, dense } = found
  const otherScales = ternary.filter(({ scales: [a, b] }) => a !== b).length
  // Rounding must not turn one different code in a billion into 100 %.
  const percent = equalCodes === 1 ? '100' : Math.min(99.999_999, 100 * equalCodes).toFixed(6)
  const facts: Fact[] = [
    ['compared', `${a} and ${b}`],
    ['codes', `${percent} % of ${formatCount(ternaryWeights)} equal`],
    ['scales', `${ternaryTensors - otherScales} of ${ternaryTensors} equal`],
    ['other tensors', `${denseTensors - dense.length} of ${denseTensors} equal`],
  ]
  const asNear = (isWithinBound: boolean): string => (isWithinBound ? 'yes' : 'no')
  return [
    facts,
    ...section(
      ['ternary tensor', 'codes that differ', 'scales', AS_NEAR],
      ternary.map(({ tensor, codes, scales, isWithinBound }) => [
        tensor,
        formatCount(codes),
        scales.map((scale) => scale.toPrecision(7)).join(', '),
        asNear(isWithinBound),
      ]),
      [1],
    ),
    ...section(
      ['other tensor', 'types', 'difference', 'largest', AS_NEAR],
      dense.map(({ tensor, types, relativeError, largestError, isWithinBound }) => [
        tensor,
        types.join(', '),
        relativeError.toExponential(2),
        largestError.toExponential(2),
        asNear(isWithinBound),
      ]),
      [2, 3],
    ),
    ...section(
      ['setting', 'values'],
      found.settings.map(({ setting, values }) => [setting, values.join(', ')]),
    ),
    '',
    verdict(found),
  ]
}

/** A table behind a blank line; nothing where it has no rows. */
function section(
  header: readonly string[],
  rows: Table['rows'],
  right: readonly number[] = [],
): ReportPart[] {
  return rows.length === 0 ? [] : ['', { header, rows, right }]
}

function verdict({ isWithinBounds, ternary, dense, settings, leftOut }: ModelComparison): string {
  if (settings.length > 0) return 'Not the same: they are to be computed with other settings.'
  if (!isWithinBounds) return 'Not the same: they differ by more than their types round.'
  const same =
    ternary.length + dense.length === 0
      ? 'The same model, bit for bit.'
      : 'The same model: every difference is rounding to the types of the files.'
  if (leftOut.length === 0) return same
  return `${same} Not compared, as no model uses them: ${shownNames(leftOut)}.`
}
