/**
 * `bitnet convert`: a model to GGUF or to packed safetensors, and the comparison of two models.
 */

import { UsageError } from '../../../errors.ts'
import { holdsAdapters, mergeAdapters } from '../../../node/convert/merge-adapters.ts'
import { resolveModel } from '../../../node/resolve-model.ts'
import { showDownloadProgress } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { verifyConversion } from './convert-verify.ts'
import {
  addConversionFlags,
  type ConversionFlags,
  convertAndReport,
  requireFree,
} from './converting.ts'

interface ConvertFlags extends ConversionFlags {
  readonly overwrite?: boolean
  readonly verify?: boolean
  readonly json?: boolean
}

export const command = defineCommand<ConvertFlags, [source: string, target: string]>({
  flags: (command) =>
    addConversionFlags(
      command
        .argument('<source>', 'model name, owner/name, .gguf, .safetensors or folder')
        .argument('<target>', 'a .gguf file to write, or a folder for packed safetensors'),
    )
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
    await requireFree(target, flags.overwrite)
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
    await convertAndReport(context, path, target, flags)
  },
})

function refuseWithVerify(flags: ConvertFlags): void {
  const writing = ['type', 'embedding', 'linearClass', 'name', 'force', 'overwrite'] as const
  if (writing.every((flag) => flags[flag] === undefined)) return
  throw new UsageError('Expected --verify alone or with --json: it compares and writes nothing.')
}
