/**
 * `bitnet export`: what a run has learnt, as a model for others.
 */
import { join } from 'node:path'
import { UsageError } from '../../../errors.ts'
import { isGgufName } from '../../../formats/gguf/index.ts'
import { exportMasters } from '../../../node/convert/export-masters.ts'
import { holdsAdapters } from '../../../node/convert/merge-adapters.ts'
import { statOf } from '../../../node/files/system.ts'
import { newestCheckpoint, stateOf } from '../../../node/train/run-folder.ts'
import { STATE_FILE } from '../../../train/checkpoint/checkpoint.ts'
import { formatBytes } from '../../console/quantities.ts'
import { defineCommand } from '../../define-command.ts'
import {
  addConversionFlags,
  type ConversionFlags,
  convertAndReport,
  requireFree,
} from '../convert/converting.ts'

interface ExportFlags extends Omit<ConversionFlags, 'force'> {
  readonly masters?: boolean
  readonly overwrite?: boolean
  readonly json?: boolean
}

export const command = defineCommand<ExportFlags, [checkpoint: string, target: string]>({
  flags: (command) =>
    addConversionFlags(
      command
        .argument('<checkpoint>', 'of `train`, or the folder of a run: its newest one')
        .argument('<target>', 'a .gguf file to write, or a folder for packed safetensors'),
    )
      .option('--masters', 'the float weights in BF16, to be quantised where they are loaded')
      .option('--overwrite', 'replace the target if it exists'),
  examples: `\
  $ bitnet export run model.gguf                    one file of the newest checkpoint
  $ bitnet export run/step-000500 packed/           ternary weights in two bits, for transformers
  $ bitnet export run masters/ --masters            float weights, to go on from or to publish`,
  async run(context, { masters, overwrite, ...flags }, source, target) {
    await requireFree(target, overwrite)
    const checkpoint = await checkpointAt(source)
    const quant = (await stateOf(checkpoint)).settings['quant']
    if (masters !== true) {
      if (quant === 'none') {
        throw new UsageError(
          'Expected a ternary or binary model to pack, got a float one. Add --masters, with a folder to write to.',
        )
      }
      return convertAndReport(context, checkpoint, target, flags)
    }
    refuseWithMasters(target, flags)
    const report = await exportMasters(checkpoint, target, context)
    await context.print({ target, checkpoint, ...report }, () => [
      [
        ['written', `${target}, ${formatBytes(report.bytesOut)}`],
        ['checkpoint', checkpoint],
        ['tensors', `${report.tensors}, BF16`],
      ],
    ])
  },
})

/** @throws UsageError for what is neither a checkpoint of a model nor a run with one */
async function checkpointAt(source: string): Promise<string> {
  const checkpoint = (await newestCheckpoint(source)) ?? source
  if (await holdsAdapters(checkpoint)) {
    throw new UsageError(
      `Expected a checkpoint of a whole model, got adapters in ${checkpoint}. Add them to their model with ` +
        '`bitnet convert`.',
    )
  }
  if ((await statOf(join(checkpoint, STATE_FILE))) === undefined) {
    throw new UsageError(
      `Expected a checkpoint of \`bitnet train\`, or the folder of a run with one, got ${source}. Other models go ` +
        'through `bitnet convert`.',
    )
  }
  return checkpoint
}

function refuseWithMasters(
  target: string,
  flags: Omit<ExportFlags, 'masters' | 'overwrite'>,
): void {
  if (isGgufName(target)) {
    throw new UsageError(
      'Expected a folder for --masters, got a .gguf file. Leave one of them out.',
    )
  }
  const packing = ['type', 'embedding', 'linearClass', 'name'] as const
  if (packing.every((flag) => flags[flag] === undefined)) return
  throw new UsageError(
    'Expected --masters alone, with --overwrite or with --json: nothing is packed.',
  )
}
