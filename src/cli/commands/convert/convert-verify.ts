/**
 * `bitnet convert --verify`: whether two files hold the same model.
 */
import type { ModelComparison } from '../../../convert/index.ts'
import { compareFiles } from '../../../node/convert/compare-files.ts'
import { resolveModel } from '../../../node/resolve-model.ts'
import { formatCount } from '../../console/quantities.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { formatFacts, formatTable } from '../../console/table.ts'
import { StatusLine, writeJson, writeLine } from '../../console/terminal.ts'

/** @returns the exit code: 1 if they differ by more than their types round */
export async function runVerify(
  a: string,
  b: string,
  { json }: { readonly json: boolean },
  surroundings: Surroundings,
): Promise<number> {
  const line = new StatusLine(surroundings.stderr)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  try {
    const comparison = await compareFiles(await resolveModel(a), await resolveModel(b), {
      signal,
      onProgress: ({ doneTensors, tensors, tensor }) =>
        line.show(`Comparing: ${doneTensors} of ${tensors}, ${tensor}`),
    })
    line.clear()
    if (json) await writeJson(surroundings.stdout, { a, b, ...comparison })
    else await writeLine(surroundings.stdout, describeComparison(a, b, comparison).join('\n'))
    return comparison.isWithinBounds ? EXIT.ok : EXIT.failure
  } finally {
    line.clear()
    release()
  }
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
