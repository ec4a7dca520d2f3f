/**
 * `bitnet convert --verify`: whether two files hold the same model.
 */
import type { ModelComparison } from '../../../convert/index.ts'
import { compareFiles } from '../../../node/convert/compare-files.ts'
import { resolveModel } from '../../../node/resolve-model.ts'
import type { CommandContext } from '../../command-context.ts'
import { formatCount } from '../../console/quantities.ts'
import { EXIT } from '../../console/surroundings.ts'
import { formatFacts, formatTable } from '../../console/table.ts'

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

function describeComparison(a: string, b: string, found: ModelComparison): string[] {
  const { ternaryTensors, ternaryWeights, denseTensors, equalCodes, ternary, dense } = found
  const scales = ternary.filter(({ scales }) => scales[0] !== scales[1]).length
  // Rounding must not turn one different code in a billion into 100 %.
  const percent = equalCodes === 1 ? '100' : Math.min(99.999_999, 100 * equalCodes).toFixed(6)
  const facts = formatFacts([
    ['compared', `${a} and ${b}`],
    ['codes', `${percent} % of ${formatCount(ternaryWeights)} equal`],
    ['scales', `${ternaryTensors - scales} of ${ternaryTensors} equal`],
    ['other tensors', `${denseTensors - dense.length} of ${denseTensors} equal`],
  ])
  return [...facts, ...describeTernary(found), ...describeDense(found), '', verdict(found)]
}

function describeTernary({ ternary }: ModelComparison): string[] {
  if (ternary.length === 0) return []
  return [
    '',
    ...formatTable(
      ['ternary tensor', 'codes that differ', 'scales', 'as near as the types allow'],
      ternary.map(({ tensor, codes, scales, isWithinBound }) => [
        tensor,
        formatCount(codes),
        scales.map((scale) => scale.toPrecision(7)).join(', '),
        isWithinBound ? 'yes' : 'no',
      ]),
      [1],
    ),
  ]
}

function describeDense({ dense }: ModelComparison): string[] {
  if (dense.length === 0) return []
  return [
    '',
    ...formatTable(
      ['other tensor', 'types', 'difference', 'largest', 'as near as the types allow'],
      dense.map(({ tensor, types, relativeError, largestError, isWithinBound }) => [
        tensor,
        types.join(', '),
        relativeError.toExponential(2),
        largestError.toExponential(2),
        isWithinBound ? 'yes' : 'no',
      ]),
      [2, 3],
    ),
  ]
}

function verdict({ isWithinBounds, ternary, dense }: ModelComparison): string {
  if (!isWithinBounds) return 'Not the same: they differ by more than their types round.'
  return ternary.length + dense.length === 0
    ? 'The same model, bit for bit.'
    : 'The same model: every difference is rounding to the types of the files.'
}
