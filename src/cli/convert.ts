/**
 * `bitnet convert`: a model to GGUF.
 */
import { access } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { ConversionReport } from '../convert/index.ts'
import { UsageError } from '../errors.ts'
import { convertFile } from '../node/convert-file.ts'
import { resolveModel } from '../node/default-model.ts'
import { parseChoice } from './generation-flags.ts'
import { formatBytes, formatCount, formatPercent } from './quantities.ts'
import { EXIT, interruption, type Surroundings } from './surroundings.ts'
import { formatFacts, formatTable } from './table.ts'
import { StatusLine, writeJson, writeLine } from './terminal.ts'

export interface ConvertFlags {
  readonly weights: 'I2_S' | 'TQ2_0' | 'TQ1_0'
  readonly embedding: 'F16' | 'Q8_0' | 'Q6_K'
  readonly force?: boolean
  readonly overwrite?: boolean
  readonly json?: boolean
}

export function addConvertCommand(
  program: Command,
  run: (source: string, target: string, flags: ConvertFlags) => Promise<void>,
): void {
  program
    .command('convert')
    .description('write a model as GGUF')
    .argument('<source>', 'embedded name, .gguf, .safetensors or folder')
    .argument('<target>', 'the .gguf file to write')
    .addOption(
      new Option('--weights <type>', 'ternary weights: I2_S, TQ2_0 or TQ1_0')
        .default('I2_S')
        .argParser((text) => parseChoice(text, ['I2_S', 'TQ2_0', 'TQ1_0'])),
    )
    .addOption(
      new Option('--embedding <type>', 'embedding and head: F16, Q8_0 or Q6_K')
        .default('F16')
        .argParser((text) => parseChoice(text, ['F16', 'Q8_0', 'Q6_K'])),
    )
    .option('--force', 'convert also a model that was not trained as ternary')
    .option('--overwrite', 'replace the target if it exists')
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet convert folder-with-safetensors/ model.gguf
  $ bitnet convert model.gguf smaller.gguf --embedding Q6_K
  $ bitnet convert folder/ model.gguf --weights TQ2_0 --json`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runConvert(
  source: string,
  target: string,
  flags: ConvertFlags,
  surroundings: Surroundings,
): Promise<number> {
  const { stdout, stderr } = surroundings
  if (!target.endsWith('.gguf')) {
    throw new UsageError(`Expected a target that ends in .gguf, got "${target}".`)
  }
  if (flags.overwrite !== true && (await exists(target))) {
    throw new UsageError(`${target} exists. Choose another name, or add --overwrite.`)
  }
  const line = new StatusLine(stderr)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  try {
    const report = await convertFile(await resolveModel(source), target, {
      weights: flags.weights,
      embedding: flags.embedding,
      force: flags.force === true,
      signal,
      onProgress: ({ writtenBytes, totalBytes, tensor }) => {
        const percent = totalBytes > 0 ? Math.floor((100 * writtenBytes) / totalBytes) : 100
        line.show(`Converting: ${percent} % of ${formatBytes(totalBytes)}, ${tensor}`)
      },
    })
    line.clear()
    if (flags.json) await writeJson(stdout, { target, ...report })
    else await writeLine(stdout, describe(target, report).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
    release()
  }
}

function describe(target: string, report: ConversionReport): string[] {
  const { losses, leftOut } = report
  const facts = formatFacts([
    ['written', `${target}, ${formatBytes(report.bytesOut)}`],
    ['architecture', report.architecture],
    ['tensors', `${report.tensors}, ${report.ternaryTensors} of them ternary`],
    ['ternary weights', formatCount(report.ternaryWeights)],
    ['zeros', formatPercent(report.zeroShare)],
    ['scales', `${report.scaleMin.toPrecision(4)} to ${report.scaleMax.toPrecision(4)}`],
    ['tensor data', `${formatBytes(report.bytesIn)} in the source`],
    ...(report.quantizedTensors > 0
      ? [['quantised', `${report.quantizedTensors} tensors, from float weights`] as const]
      : []),
    ...(leftOut.length > 0 ? [['left out', leftOut.join(', ')] as const] : []),
  ])
  if (losses.length === 0) return [...facts, '', 'Nothing was rounded.']
  return [
    ...facts,
    '',
    'Rounded, with the root mean square of the change relative to the values:',
    ...formatTable(
      ['tensor', 'from', 'to', 'change'],
      losses.map(({ tensor, from, to, relativeError }) => [
        tensor,
        from,
        to,
        relativeError.toExponential(2),
      ]),
      [3],
    ),
  ]
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
