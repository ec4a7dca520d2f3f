/**
 * What a conversion did, for people.
 */
import type { ConversionReport } from '../../../convert/index.ts'
import { formatBytes, formatCount, formatPercent } from '../../console/quantities.ts'
import type { Fact, ReportPart, Table } from '../../console/table.ts'

export function describeConversion(target: string, report: ConversionReport): ReportPart[] {
  const { leftOut } = report
  const facts: Fact[] = [
    ['written', `${target}, ${formatBytes(report.bytesOut)}`],
    ['format', `${report.format}, architecture ${report.architecture}`],
    ['tensors', `${report.tensors}, ${report.ternaryTensors} of them ternary`],
    [
      'types',
      report.types
        .map(({ type, tensors, bytes }) => `${tensors} ${type} (${formatBytes(bytes)})`)
        .join(', '),
    ],
    ['tensor data', `${formatBytes(report.bytesIn)} in the source`],
    ['ternary weights', formatCount(report.ternaryWeights)],
    ['zeros', formatPercent(report.zeroShare)],
    ...(leftOut.length > 0 ? [['left out', shownNames(leftOut)] as const] : []),
  ]
  return [facts, '', describeKinds(report), '', ...describeLosses(report)]
}

function describeKinds({ kinds }: ConversionReport): Table {
  return {
    header: ['ternary', 'tensors', 'weights', 'zeros', 'scales'],
    rows: kinds.map(({ kind, tensors, weights, zeroShare, scaleMin, scaleMax }) => [
      kind,
      String(tensors),
      formatCount(weights),
      formatPercent(zeroShare),
      `${scaleMin.toPrecision(4)} to ${scaleMax.toPrecision(4)}`,
    ]),
    right: [1, 2, 3],
  }
}

function describeLosses(report: ConversionReport): ReportPart[] {
  const { losses, quantization, tensors, leftOut } = report
  const quantized =
    quantization === undefined
      ? []
      : [
          `${quantization.tensors} tensors were quantised from float weights, as the model itself ` +
            `does on load: this changes them by ${formatPercent(quantization.meanError)} (root mean ` +
            `square), by ${formatPercent(quantization.largestError)} at most. It is what they were ` +
            'trained with.',
        ]
  const rounded =
    losses.length === 0
      ? [
          quantization === undefined
            ? `Lossless: every value ${leftOut.length > 0 ? 'that the model uses ' : ''}was taken over.`
            : 'Nothing else changed.',
        ]
      : [
          `Rounded to their type (${losses.length} of ${tensors} tensors; the others are exact):`,
          {
            header: ['tensor', 'from', 'to', 'change', 'rms', 'largest'],
            rows: losses.map(({ tensor, from, to, relativeError, rmsError, largestError }) => [
              tensor,
              from,
              to,
              relativeError.toExponential(2),
              rmsError.toExponential(2),
              largestError.toExponential(2),
            ]),
            right: [3, 4, 5],
          },
          'change: root mean square, relative to that of the values',
        ]
  return [...quantized, ...rounded]
}

/** A file may have a quarter of a million tensors that nobody uses. */
export function shownNames(names: readonly string[]): string {
  const more = names.length > 12 ? ` and ${names.length - 12} more` : ''
  return names.slice(0, 12).join(', ') + more
}
