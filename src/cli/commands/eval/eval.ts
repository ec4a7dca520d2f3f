/**
 * `bitnet eval`: zero-shot and few-shot tasks, with a journal of finished items, so that a run that was
 * stopped goes on where it was.
 */

import { open } from 'node:fs/promises'
import { withoutUnset } from '../../../checks.ts'
import { UsageError } from '../../../errors.ts'
import type { BosRule, TokenizationRule } from '../../../eval/encode-request.ts'
import {
  DEFAULT_EVAL_SETTINGS,
  type EvalJournal,
  type EvalProgress,
  type EvalSample,
} from '../../../eval/evaluate.ts'
import { evalTaskNames, tasksNamed } from '../../../eval/tasks/all-tasks.ts'
import { type DatasetChoice, parseDatasetChoice } from '../../../node/eval/datasets.ts'
import { evaluate } from '../../../node/eval/evaluate-on-disk.ts'
import { defaultJournalPath, evaluationIdentity } from '../../../node/eval/evaluation-identity.ts'
import { openCacheJournal, openJournal } from '../../../node/eval/journal.ts'
import { namingFile } from '../../../node/files/system.ts'
import type { CommandContext } from '../../command-context.ts'
import type { TableStyle } from '../../console/table.ts'
import { defineCommand } from '../../define-command.ts'
import { choiceFlag, wholeNumber } from '../../flags/flag-values.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import { bosFlag, refuseNearHead } from '../../flags/shared-flags.ts'
import { describeEvaluation } from './eval-report.ts'

export interface EvalFlags extends ModelFlags, TableStyle {
  readonly tasks: readonly string[]
  readonly numFewshot?: number
  readonly seed?: number
  readonly limit?: number
  readonly tokenization?: TokenizationRule
  readonly bos?: BosRule
  readonly dataDir?: string
  readonly dataset?: Readonly<Record<string, DatasetChoice>>
  readonly samples?: string
  /** A journal's path; false for none, true for the one in the cache. */
  readonly resume: string | boolean
  readonly json?: boolean
}

const MAX_SEED = 2 ** 32 - 1

export const command = defineCommand<EvalFlags>({
  flags(command) {
    const examples = wholeNumber({ min: 0, max: 100 })
    const seed = wholeNumber({ min: 0, max: MAX_SEED })
    command
      .requiredOption(
        '--tasks <names>',
        `bitnet7, all, or: ${evalTaskNames.join(', ')}; with commas between`,
        parseNames,
      )
      .option('--num-fewshot <count>', 'solved examples before each item (default: 0)', examples)
      .option('--seed <number>', 'draws the examples (default: 1234)', seed)
      .option(
        '--limit <count>',
        'only the first items of each task (default: all)',
        wholeNumber({ min: 1 }),
      )
      .addOption(
        choiceFlag('--tokenization <rule>', 'harness or split (default: harness)', [
          'harness',
          'split',
        ]),
      )
      .addOption(bosFlag())
      .option('--data-dir <folder>', 'read datasets here (default: the Hugging Face hub)')
      .option(
        '--dataset <task=repo>',
        'another dataset of the hub: TASK=owner/name[:config[:split]]; may be repeated',
        parseDataset,
      )
      .option('--samples <file>', 'write every item with its log-likelihoods, one JSON a line')
      .option('--resume <file>', 'journal of finished items (default: one in the cache)', true)
      .option('--no-resume', 'keep no journal and begin anew')
    addModelFlags(command).option('--markdown', 'a table for a Markdown document')
  },
  examples: `\
  $ bitnet eval --tasks bitnet7                          the seven tasks of the BitNet b1.58 paper
  $ bitnet eval --tasks arc_easy,boolq -m model.gguf --limit 200
  $ bitnet eval --tasks openbookqa --num-fewshot 5 --kv int8 --json
  $ bitnet eval --tasks all --data-dir datasets --samples samples.jsonl --markdown

Tokens are given, none is generated: --speculate and --draft play no part here (see bitnet compare).`,
  async run(context, flags) {
    refuseNearHead(flags)
    if (flags.dataset !== undefined && flags.dataDir !== undefined) {
      throw new UsageError(
        'Expected --dataset or --data-dir, got both: a folder has its own files.',
      )
    }
    tasksNamed(flags.tasks)
    const { signal, status } = context
    await using samples = flags.samples === undefined ? undefined : await openSamples(flags.samples)
    await using model = await context.loadModel(flags)
    const { tokenization, bos, numFewshot, seed } = flags
    const settings = {
      ...DEFAULT_EVAL_SETTINGS,
      ...withoutUnset({ tokenization, bos, numFewshot, seed }),
    }
    const { dataDir, dataset: datasets } = flags
    const identity = await evaluationIdentity(flags.model, {
      ...{ settings, backend: model.backend, loading: flags, dataDir, datasets },
    })
    const journal = await openJournalOf(flags.resume, identity, context)
    const report = await context.waitingFor('Reading the datasets', () =>
      evaluate(model, flags.tasks, {
        ...{ settings, dataDir, datasets, limit: flags.limit, journal, signal },
        onTask: (task) => status.show(`${task}: reading the dataset`),
        onProgress: (progress) => status.show(progressText(progress)),
        onSample: samples?.write,
      }),
    )
    await context.print(report, () => describeEvaluation(report))
  },
})

/** @param resume a path; true: the one in the cache, if there can be one; false: none */
async function openJournalOf(
  resume: string | boolean,
  identity: string,
  context: CommandContext,
): Promise<EvalJournal | undefined> {
  if (resume === false) return undefined
  if (resume !== true) return openJournal(resume, identity)
  const { journal, reason } = await openCacheJournal(defaultJournalPath(identity), identity)
  if (reason !== undefined)
    await context.remark(`No journal is kept, as there is no place for it: ${reason}`)
  return journal
}

function parseNames(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, ...text.split(',').filter((name) => name !== '')]
}

function parseDataset(
  text: string,
  earlier: Readonly<Record<string, DatasetChoice>> = {},
): Readonly<Record<string, DatasetChoice>> {
  const [task, dataset] = parseDatasetChoice(text)
  return { ...earlier, [task]: dataset }
}

interface SamplesFile extends AsyncDisposable {
  write(sample: EvalSample): Promise<void>
}

async function openSamples(path: string): Promise<SamplesFile> {
  const handle = await open(path, 'w')
  return {
    async write(sample) {
      await handle.appendFile(`${JSON.stringify(sample)}\n`).catch((error) => {
        throw namingFile(path, error)
      })
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

/** "arc_easy: 120 of 2376 items, 3 min left" */
function progressText(progress: EvalProgress): string {
  const { task, items, totalItems, tokens, totalTokens, elapsedMs } = progress
  const leftSeconds = tokens > 0 ? (elapsedMs / tokens / 1000) * (totalTokens - tokens) : Infinity
  const left =
    leftSeconds < 90 ? `${Math.ceil(leftSeconds)} s` : `${Math.ceil(leftSeconds / 60)} min`
  // The first passes say little about the rest.
  const hint = elapsedMs > 2000 ? `, ${left} left` : ''
  return `${task}: ${items} of ${totalItems} items${hint}`
}
