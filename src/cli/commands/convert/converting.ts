/** What writing a model in another form has in common, for people and programs. */
import { readdir, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { withoutUnset } from '../../../checks.ts'
import { LINEAR_CLASSES, WEIGHT_STORAGES } from '../../../convert/index.ts'
import { UsageError } from '../../../errors.ts'
import { isGgufName } from '../../../formats/gguf/index.ts'
import {
  type ConversionOptions,
  convertFile,
  EMBEDDINGS,
} from '../../../node/convert/convert-file.ts'
import type { CommandContext } from '../../command-context.ts'
import { formatProgress } from '../../console/quantities.ts'
import { parseChoice } from '../../flags/flag-values.ts'
import { describeConversion } from './convert-report.ts'

export interface ConversionFlags {
  readonly type?: ConversionOptions['weights']
  readonly embedding?: ConversionOptions['embedding']
  readonly linearClass?: ConversionOptions['linearClass']
  readonly name?: string
  readonly force?: boolean
}

export function addConversionFlags(command: Command): Command {
  return command
    .option('--type <type>', 'ternary weights in GGUF: i2_s (default), tq1_0 or tq2_0', (text) =>
      parseChoice(text.toUpperCase(), WEIGHT_STORAGES),
    )
    .option(
      '--embedding <type>',
      'embedding and head: f16 (default), q8_0, q6_k or q4_0; in safetensors bf16, f16 or f32',
      (text) => parseChoice(text.toUpperCase(), EMBEDDINGS),
    )
    .option(
      '--linear-class <class>',
      'scales in safetensors: autobitlinear multiplies, bitlinear divides',
      (text) => parseChoice(text, LINEAR_CLASSES),
    )
    .option('--name <name>', 'name of the model in GGUF')
}

/** @throws UsageError where something is at `target`, but for an empty folder */
export async function requireFree(target: string, overwrite: boolean | undefined): Promise<void> {
  if (overwrite === true) return
  const found = await stat(target).catch(() => undefined)
  if (found === undefined) return
  if (found.isDirectory() && !isGgufName(target) && (await readdir(target)).length === 0) return
  throw new UsageError(`${target} exists. Choose another name, or add --overwrite.`)
}

/** Converts and says what was done. */
export async function convertAndReport(
  context: CommandContext,
  path: string,
  target: string,
  { type, embedding, linearClass, name, force }: ConversionFlags,
): Promise<void> {
  const { signal, status } = context
  const report = await convertFile(path, target, {
    ...withoutUnset({ weights: type, embedding, linearClass, name }),
    force: force === true,
    signal,
    onProgress: ({ writtenBytes, totalBytes, tensor }) =>
      status.show(`Converting: ${formatProgress(writtenBytes, totalBytes)}, ${tensor}`),
  })
  await context.print({ target, ...report }, () => describeConversion(target, report))
}
