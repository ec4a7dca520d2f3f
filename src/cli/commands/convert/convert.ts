/**
 * `bitnet convert`: a model to GGUF or to packed safetensors, and the comparison of two models.
 */
import { readdir, stat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { UsageError } from '../../../errors.ts'
import { type ConversionOptions, convertFile } from '../../../node/convert/convert-file.ts'
import { resolveModel } from '../../../node/resolve-model.ts'
import { formatBytes } from '../../console/quantities.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { StatusLine, showDownloadProgress, writeJson, writeLine } from '../../console/terminal.ts'
import { parseChoice } from '../../flags/generation-flags.ts'
import { describeConversion } from './convert-report.ts'
import { runVerify } from './convert-verify.ts'

const TYPES = ['I2_S', 'TQ1_0', 'TQ2_0'] as const
const EMBEDDINGS = ['F16', 'Q8_0', 'Q6_K', 'Q4_0', 'BF16', 'F32'] as const
const LINEAR_CLASSES = ['autobitlinear', 'bitlinear'] as const

interface ConvertFlags {
  readonly type?: (typeof TYPES)[number]
  readonly embedding?: (typeof EMBEDDINGS)[number]
  readonly linearClass?: (typeof LINEAR_CLASSES)[number]
  readonly name?: string
  readonly force?: boolean
  readonly overwrite?: boolean
  readonly verify?: boolean
  readonly json?: boolean
}

export function addConvertCommand(
  command: Command,
  run: (source: string, target: string, flags: ConvertFlags) => Promise<void>,
): void {
  command
    .argument('<source>', 'model name, owner/name, .gguf, .safetensors or folder')
    .argument('<target>', 'a .gguf file to write, or a folder for packed safetensors')
    .addOption(
      new Option(
        '--type <type>',
        'ternary weights in GGUF: i2_s (default), tq1_0 or tq2_0',
      ).argParser((text) => parseChoice(text.toUpperCase(), TYPES)),
    )
    .addOption(
      new Option(
        '--embedding <type>',
        'embedding and head: f16 (default), q8_0, q6_k or q4_0; in safetensors bf16, f16 or f32',
      ).argParser((text) => parseChoice(text.toUpperCase(), EMBEDDINGS)),
    )
    .addOption(
      new Option(
        '--linear-class <class>',
        'scales in safetensors: autobitlinear multiplies, bitlinear divides',
      ).argParser((text) => parseChoice(text, LINEAR_CLASSES)),
    )
    .option('--name <name>', 'name of the model in GGUF')
    .option('--force', 'convert also a model that was not trained as ternary')
    .option('--overwrite', 'replace the target if it exists')
    .option('--verify', 'write nothing: compare the two models weight by weight')
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet convert folder-with-safetensors/ model.gguf
  $ bitnet convert model.gguf smaller.gguf --type tq1_0 --embedding q6_k
  $ bitnet convert model.gguf folder/ --linear-class bitlinear
  $ bitnet convert --verify folder/ model.gguf      exit code 1 if they differ`,
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
  if (flags.verify === true) {
    refuseWithVerify(flags)
    return runVerify(source, target, { json: flags.json === true }, surroundings)
  }
  const { stdout, stderr } = surroundings
  if (flags.overwrite !== true && (await isTaken(target))) {
    throw new UsageError(`${target} exists. Choose another name, or add --overwrite.`)
  }
  const line = new StatusLine(stderr)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  try {
    const path = await resolveModel(source, { signal, onDownload: showDownloadProgress(line) })
    const report = await convertFile(path, target, {
      ...optionsOf(flags),
      signal,
      onProgress: ({ writtenBytes, totalBytes, tensor }) => {
        const percent = totalBytes > 0 ? Math.floor((100 * writtenBytes) / totalBytes) : 100
        line.show(`Converting: ${percent} % of ${formatBytes(totalBytes)}, ${tensor}`)
      },
    })
    line.clear()
    if (flags.json) await writeJson(stdout, { target, ...report })
    else await writeLine(stdout, describeConversion(target, report).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
    release()
  }
}

function optionsOf({ type, embedding, linearClass, name, force }: ConvertFlags): ConversionOptions {
  return {
    ...(type === undefined ? {} : { weights: type }),
    ...(embedding === undefined ? {} : { embedding }),
    ...(linearClass === undefined ? {} : { linearClass }),
    ...(name === undefined ? {} : { name }),
    force: force === true,
  }
}

function refuseWithVerify(flags: ConvertFlags): void {
  const writing = ['type', 'embedding', 'linearClass', 'name', 'force', 'overwrite'] as const
  if (writing.every((flag) => flags[flag] === undefined)) return
  throw new UsageError('Expected --verify alone or with --json: it compares and writes nothing.')
}

/** True for anything but an empty folder. */
async function isTaken(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return false
  return !found.isDirectory() || path.endsWith('.gguf') || (await readdir(path)).length > 0
}
