/**
 * `bitnet convert`: a model to GGUF or to packed safetensors, and the comparison of two models.
 */

import { readdir, stat } from 'node:fs/promises'
import { withoutUnset } from '../../../checks.ts'
import { LINEAR_CLASSES, WEIGHT_STORAGES } from '../../../convert/index.ts'
import { UsageError } from '../../../errors.ts'
import { isGgufName } from '../../../formats/gguf/index.ts'
import {
  type ConversionOptions,
  convertFile,
  EMBEDDINGS,
} from '../../../node/convert/convert-file.ts'
import { holdsAdapters, mergeAdapters } from '../../../node/convert/merge-adapters.ts'
import { resolveModel } from '../../../node/resolve-model.ts'
import { formatProgress } from '../../console/quantities.ts'
import { showDownloadProgress } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { parseChoice } from '../../flags/flag-values.ts'
import { describeConversion } from './convert-report.ts'
import { verifyConversion } from './convert-verify.ts'

interface ConvertFlags {
  readonly type?: ConversionOptions['weights']
  readonly embedding?: ConversionOptions['embedding']
  readonly linearClass?: ConversionOptions['linearClass']
  readonly name?: string
  readonly force?: boolean
  readonly overwrite?: boolean
  readonly verify?: boolean
  readonly json?: boolean
}

export const command = defineCommand<ConvertFlags, [source: string, target: string]>({
  flags: (command) =>
    command
      .argument('<source>', 'model name, owner/name, .gguf, .safetensors or folder')
      .argument('<target>', 'a .gguf file to write, or a folder for packed safetensors')
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
      .option('--force', 'convert also a model that was not trained as ternary')
      .option('--overwrite', 'replace the target if it exists')
      .option('--verify', 'write nothing: compare the two models weight by weight'),
  examples: `\
  $ bitnet convert folder-with-safetensors/ model.gguf
  $ bitnet convert model.gguf smaller.gguf --type tq1_0 --embedding q6_k
  $ bitnet convert model.gguf folder/ --linear-class bitlinear
  $ bitnet convert run/step-000500 merged/          adapters of train --lora, added to their model
  $ bitnet convert --verify folder/ model.gguf      exit code 1 if they differ`,
  async run(context, flags, source, target) {
    if (flags.verify === true) {
      refuseWithVerify(flags)
      return verifyConversion(source, target, context)
    }
    if (flags.overwrite !== true && (await isTaken(target))) {
      throw new UsageError(`${target} exists. Choose another name, or add --overwrite.`)
    }
    const { signal, status } = context
    const path = await resolveModel(source, {
      signal,
      onDownload: showDownloadProgress(status, context.texts),
    })
    if (await holdsAdapters(path)) {
      const merged = await mergeAdapters(path, target, { signal })
      await context.print({ target, ...merged }, () => [
        [
          ['written', `${target}, float16, no longer ternary`],
          ['adapters', `${merged.adapters}, added to ${merged.base}`],
        ],
      ])
      return
    }
    const report = await convertFile(path, target, {
      ...optionsOf(flags),
      signal,
      onProgress: ({ writtenBytes, totalBytes, tensor }) =>
        status.show(`Converting: ${formatProgress(writtenBytes, totalBytes)}, ${tensor}`),
    })
    await context.print({ target, ...report }, () => describeConversion(target, report))
  },
})

function optionsOf({ type, embedding, linearClass, name, force }: ConvertFlags): ConversionOptions {
  return {
    ...withoutUnset({ weights: type, embedding, linearClass, name }),
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
  return !found.isDirectory() || isGgufName(path) || (await readdir(path)).length > 0
}
