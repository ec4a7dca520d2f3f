/**
 * `bitnet train`: from text to a ternary model.
 */

import type { Command } from 'commander'
import { isWhole, withoutUnset } from '../../../checks.ts'
import { TRAIN_OPTIONS, type TrainOptions, train } from '../../../node/train/train.ts'
import type { OptionRules } from '../../../option-checks.ts'
import type { TrainReport } from '../../../train/loop.ts'
import { GATES, PRESET_NAMES } from '../../../train/presets.ts'
import { OPTIMIZERS, PRECISIONS, QUANT_MODES, RECOMPUTE_MODES } from '../../../train/shape.ts'
import type { CommandContext } from '../../command-context.ts'
import { readTextFile } from '../../console/input.ts'
import { formatCount } from '../../console/quantities.ts'
import type { Fact } from '../../console/table.ts'
import { writeLine } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { choiceFlag, decimalNumber, wholeNumber } from '../../flags/flag-values.ts'
import { addMachineFlags } from '../../flags/load-flags.ts'
import { withHome } from '../../flags/places.ts'
import { startWatching } from '../watch/watching.ts'
import { eventLine } from './train-progress.ts'

const MAX_PORT = 65_535

interface TrainFlags extends Omit<TrainOptions, 'data' | 'out'> {
  readonly data?: readonly string[]
  readonly out?: string
  readonly config?: string
  readonly json?: boolean
  /** True: at the usual port. */
  readonly watch?: number | true
}

/** The options that are places on a disk, or may be. */
const PLACES: ReadonlySet<string> = new Set<keyof TrainOptions>([
  'data',
  'out',
  'tokenizer',
  'init',
])

function addTrainFlags(command: Command): void {
  const count = wholeNumber({ min: 1 })
  const none = wholeNumber({ min: 0 })
  const above = decimalNumber({ above: 0 })
  const positive = decimalNumber({ min: 0 })
  command
    .option(
      '--data <paths...>',
      'texts, .jsonl files (text, messages) or folders, also .gz, .xz, .zst; "path=2" counts twice, "path=2,0" in the first half of the steps alone',
    )
    .option('--out <folder>', 'where checkpoints, tokenised text and the log go')
    .option('--tokenizer <model>', 'a model, or a folder or file tokenizer.json (default: bytes)')
    .addOption(
      choiceFlag('--preset <size>', 'the shape of the model (default: tiny)', PRESET_NAMES),
    )
    .addOption(choiceFlag('--quant <mode>', 'ternary, binary or none (default: b158)', QUANT_MODES))
    .option(
      '--moe <mixture>',
      'experts in place of each feed-forward: experts=8,top=2 (also balance=0.01)',
    )
    .option('--sub-norms', 'norms before the output and down matrices (default with ternary ones)')
    .option('--no-sub-norms', 'none, as in Llama')
    .addOption(
      choiceFlag('--gate <name>', 'of the feed-forward (default: relu2, or silu in none)', GATES),
    )
    .option(
      '--quantization-warmup <steps>',
      "steps in which the quantisers' effect grows from 0 to 1 (default: none; with --init FP_MODEL)",
      count,
    )
    .option('--steps <n>', 'how long; default: once through the text', count)
    .option('--tokens <n>', 'the same in tokens', count)
    .option('--hours <n>', 'the same in hours, by the speed of the first passes', above)
    .option('--init <model>', 'go on from the weights of a model, float or packed, in its shape')
    .option(
      '--lora <adapters>',
      'learn adapters beside the frozen ternary weights of --init: rank=16,alpha=32',
    )
    .option('--batch <n>', 'sequences in a pass', count)
    .option('--length <tokens>', 'tokens of a sequence', count)
    .option('--accumulate <n>', 'passes in a step (default: 1)', count)
    .option('--lr <rate>', 'peak of the learning rate in the first half', above)
    .option('--lr2 <rate>', 'peak of the line of the second half', above)
    .option('--warmup <steps>', 'steps up to the first line', count)
    .option('--decay <share>', 'weight decay in the first half (default: 0.1)', positive)
    .addOption(
      choiceFlag('--optimizer <name>', "of the layers' matrices (default: adamw)", OPTIMIZERS),
    )
    .option('--clip <norm>', 'largest norm of a gradient, 0 for any (default: 1)', positive)
    .option('--seed <n>', 'of weights and of the order of the text', none)
    .addOption(
      choiceFlag(
        '--recompute <what>',
        'layer: less memory, a third more time (default: none)',
        RECOMPUTE_MODES,
      ),
    )
    .addOption(
      choiceFlag('--precision <type>', 'f16: faster products on GPUs (default: f32)', PRECISIONS),
    )
    .option('--eval-every <steps>', 'look at held-out text (default: 100)', count)
    .option('--look-every <steps>', 'count -1, 0 and +1, 0 for never (default: 20)', none)
    .option(
      '--sample-every <steps>',
      'let the model write, 0 for never (default: as --eval-every)',
      none,
    )
    .option('--sample-tokens <n>', 'the longest sample (default: 64)', count)
    .option(
      '--sample-prompts <texts...>',
      'what samples go on from (default: the beginning of a held-out text)',
    )
    .option('--save-every <steps>', 'write a checkpoint (default: 500)', count)
    .option(
      '--log-every <steps>',
      'read losses of so many steps together (default: 1; on a GPU, of half a second)',
      wholeNumber({ min: 1, max: 1000 }),
    )
    .option('--keep <n>', 'checkpoints that stay beside the best one (default: 3)', count)
    .option(
      '--watch [port]',
      'a page of live curves on this machine (default: 8090)',
      wholeNumber({ min: 0, max: MAX_PORT }),
    )
    .option('--resume', 'go on with the run in --out')
    .option('--config <file>', 'these options as YAML, "eval-every: 50"; flags go before it')
  addMachineFlags(command)
}

export const command = defineCommand<TrainFlags>({
  flags: addTrainFlags,
  examples: `\
  $ bitnet train --data book.txt --out run
  $ bitnet train --data texts/ --out run --preset 6m --tokenizer bitnet-ja-en-58m --hours 2
  $ bitnet train --data talks.jsonl=2 books.txt.xz --out run --steps 5000
  $ bitnet train --data book.txt --out run --watch       curves in a browser, live
  $ bitnet train --data books.txt talks.jsonl=0,2 --out run   talks in the second half only
  $ bitnet train --config run/run.yaml --out again   the same run once more
  $ bitnet train --resume --data book.txt --out run
  $ bitnet generate "Once" -m run/step-000500        a checkpoint is a model
  $ bitnet convert run/step-000500 model.gguf

Ctrl-C ends the run behind the step at hand, with a checkpoint to go on from.`,
  async run(context, { config, json: _, ...flags }) {
    const given = { ...(await readConfigFile(config)), ...withoutUnset(flags) } as TrainFlags
    const { watch, ...options } = given
    const { signal, status } = context
    const page =
      watch === undefined || options.out === undefined
        ? undefined
        : await startWatching(options.out, watch === true ? undefined : watch)
    if (page !== undefined) writeAbove(context, `Curves: ${page.url}`)
    try {
      const report = await train({
        ...(options as TrainOptions),
        signal,
        onProgress: ({ file, tokens }) =>
          status.show(`Reading ${file}: ${formatCount(tokens)} tokens`),
        onEvent: (event) => {
          const line = eventLine(event)
          if (line === undefined) return
          if (event.type === 'step') status.show(line)
          else writeAbove(context, line)
        },
      })
      await context.print(report, () => [describeReport(report)])
    } finally {
      await page?.stop(0)
    }
  },
})

/** A line that stays, above the one that is rewritten. */
function writeAbove({ stderr, status }: CommandContext, line: string): void {
  status.clear()
  // A reader of the progress that has gone away costs the run nothing.
  writeLine(stderr, line).catch(() => undefined)
}

type FileOptions = TrainOptions & Pick<TrainFlags, 'watch'>

const FILE_OPTIONS: OptionRules<FileOptions> = {
  ...TRAIN_OPTIONS,
  watch: {
    expected: 'true or a port',
    holds: (value) => value === true || isWhole(value, 0, MAX_PORT),
  },
}

async function readConfigFile(path: string | undefined): Promise<object> {
  if (path === undefined) return {}
  const { readConfigText } = await import('../../../node/train/config-file.ts')
  const options = readConfigText(await readTextFile(path), path, FILE_OPTIONS)
  // No shell and no command line has seen these.
  return Object.fromEntries(
    Object.entries(options).map(([name, one]) => [name, PLACES.has(name) ? withHome(one) : one]),
  )
}

function describeReport(report: TrainReport): Fact[] {
  const { steps, tokens, seconds, loss, heldOutLoss, heldOutBitsPerByte, checkpoint } = report
  return [
    ['steps', `${formatCount(steps)}${report.stopped ? ', stopped' : ''}`],
    ['tokens', `${formatCount(tokens)}, ${formatCount(Math.round(tokens / seconds))} a second`],
    ['loss', loss.toFixed(3)],
    ...(heldOutLoss === undefined ? [] : [['held-out loss', heldOutLoss.toFixed(3)] as Fact]),
    ...(heldOutBitsPerByte === undefined
      ? []
      : [['bits per byte', heldOutBitsPerByte.toFixed(3)] as Fact]),
    ['model', checkpoint],
  ]
}
