/** Training from files to a folder of checkpoints. */
import { openBackend } from '../../backends/select.ts'
import { UsageError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { configToRun, readConfig } from '../../model/config/read-config.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  type OptionRules,
  SWITCH,
  TEXT,
} from '../../option-checks.ts'
import { BYTES } from '../../train/data/run-tokenizer.ts'
import { loadFrozenBase } from '../../train/frozen-base.ts'
import { fillRandomly } from '../../train/initial-weights.ts'
import type { TrainReport } from '../../train/loop.ts'
import { lowRankNamed } from '../../train/low-rank-plan.ts'
import { fillFromModel } from '../../train/model-weights.ts'
import { type RunTokenizer, runTraining } from '../../train/run.ts'
import { RUN_SETTINGS, type RunSettings } from '../../train/settings.ts'
import type { Trainer } from '../../train/trainer.ts'
import { openModelFile } from '../open-model.ts'
import { resolveModel } from '../resolve-model.ts'
import { type DataEntry, parseDataEntry } from './data-entry.ts'
import {
  drawCurves,
  lockRun,
  logEvent,
  newestCheckpoint,
  recordOptions,
  restoreCheckpoint,
  saveCheckpoint,
  stateOf,
  tokenFolder,
} from './run-folder.ts'
import { openTokens, type TokenFile, type TokenizingProgress } from './token-file.ts'
import { openRunTokenizer } from './tokenizer-folder.ts'

/** Where it runs, if `backend` is unset: the native backend, or WebAssembly where there is none; never a GPU by itself. */
export interface TrainOptions extends RunSettings {
  /**
   * Texts, .jsonl files or folders; "path=2" counts twice as much as its size says, "path=2,0" in the first half of the
   * steps alone, where the learning rate has its first line.
   */
  readonly data: readonly string[]
  /** The folder of the run. */
  readonly out: string
  /** "bytes" (default), a tokenizer.json, or a model that has one. */
  readonly tokenizer?: string | undefined
  /** A model to go on from, with float weights or packed; its shape and tokenizer are taken. */
  readonly init?: string | undefined
  /**
   * Adapters (LoRA) that are learnt beside the ternary matrices of `init`, which stay: "rank=16,alpha=32". Checkpoints
   * hold them alone, as PEFT does. The rate is then 2e-4 and weight decay 0, if unset.
   */
  readonly lora?: string | undefined
  /** How many checkpoints stay, beside the one with the lowest held-out loss. Unset: 3. */
  readonly keep?: number | undefined
  /** Go on from the newest checkpoint in `out`, with the settings it was made with. */
  readonly resume?: boolean | undefined
  readonly onProgress?: ((progress: TokenizingProgress) => void) | undefined
}

/** A row for each. */
export const TRAIN_OPTIONS: OptionRules<TrainOptions> = {
  ...RUN_SETTINGS,
  data: {
    expected: 'a list of paths',
    holds: (value) =>
      Array.isArray(value) && value.length > 0 && value.every((path) => typeof path === 'string'),
  },
  out: TEXT,
  tokenizer: TEXT,
  init: TEXT,
  lora: { ...TEXT, also: ['peft', 'lora_r', 'adapter'] },
  keep: COUNT,
  resume: SWITCH,
  onProgress: FUNCTION,
}

const KEEP = 3
/** What adapters are usually learnt with. */
const LORA_RATE = 2e-4

/**
 * Trains a model on text and writes it to `out`, step after step; each checkpoint is a model that loads, and where
 * a run that was ended, in whatever way, goes on with the same bits.
 *
 * @throws UsageError for options and data that do not go together; DivergedError; BackendError without memory
 */
export async function train(options: TrainOptions): Promise<TrainReport> {
  checkOptions('train', options, TRAIN_OPTIONS)
  for (const name of ['data', 'out'] as const) {
    if (options[name] !== undefined) continue
    throw new UsageError(
      `Expected data to learn from and a folder for the run, got no ${name}. On the command line: --data ` +
        'book.txt --out run.',
    )
  }
  const release = await lockRun(options.out)
  try {
    return await runIn(options)
  } finally {
    await release()
  }
}

async function runIn(options: TrainOptions): Promise<TrainReport> {
  const { out, signal, init } = options
  const newest = await newestCheckpoint(out)
  if (newest !== undefined && options.resume !== true) {
    throw new UsageError(
      `${newest} is there already. Choose another folder, or go on with that run (--resume).`,
    )
  }
  if (newest === undefined && options.resume === true) {
    throw new UsageError(`Expected a checkpoint to go on from in ${out}, got none.`)
  }
  const kept = newest === undefined ? undefined : await stateOf(newest)
  const lora = loraOf(options)
  const text = await openRunTokenizer(options.tokenizer ?? init ?? BYTES, { signal })
  const model = init === undefined ? undefined : await configOf(init, text, lora !== undefined)
  const sources = await openSources(options, text)
  const fill = async (trainer: Trainer) => {
    if (init !== undefined && lora !== undefined) await fillFrom(init, trainer)
    if (newest !== undefined) await restoreCheckpoint(newest, trainer)
    else if (init === undefined || lora !== undefined) fillRandomly(trainer, options.seed ?? 0)
    else await fillFrom(init, trainer)
  }
  try {
    return await runTraining(
      {
        ...{ text, sources, model, kept, openBackend, fill, lora },
        save: (content) => saveCheckpoint(out, content, options.keep ?? KEEP),
        log: (event) => logEvent(out, event),
        async record(settings) {
          const { configText } = await import('./config-file.ts')
          const own = { ...options, ...settings, out: undefined, resume: undefined }
          await recordOptions(out, configText(own, TRAIN_OPTIONS))
        },
      },
      lora ? { ...options, lr: options.lr ?? LORA_RATE, decay: options.decay ?? 0 } : options,
    )
  } finally {
    await Promise.all(sources.map(({ source }) => source.close()))
    // A picture of a run that failed is worth having; that it cannot be written is not what failed.
    await drawCurves(out).catch(() => undefined)
  }
}

async function openSources(
  { data, out, onProgress, signal }: TrainOptions,
  { tokenizer, hash }: RunTokenizer,
): Promise<(Omit<DataEntry, 'path'> & { source: TokenFile })[]> {
  const opened: (Omit<DataEntry, 'path'> & { source: TokenFile })[] = []
  for (const entry of data) {
    const { path, ...weights } = parseDataEntry(entry)
    const source = await openTokens(path, {
      ...{ tokenizer, tokenizerHash: hash, folder: tokenFolder(out), onProgress, signal },
    })
    opened.push({ source, ...weights })
  }
  return opened
}

/** @throws UsageError for adapters beside nothing, or that are none */
function loraOf({ lora, init }: TrainOptions) {
  if (lora === undefined) return undefined
  if (init !== undefined) return { ...lowRankNamed(lora), base: init }
  throw new UsageError(
    'Expected a model (--init MODEL) for adapters (--lora) to lie beside, got none.',
  )
}

/** The shape of a model that is gone on from. */
async function configOf(
  init: string,
  { tokenizer }: RunTokenizer,
  hasAdapters: boolean,
): Promise<ModelConfig> {
  const { file } = await openModelFile(await resolveModel(init))
  const model = hasAdapters ? await configToRun(file) : readConfig(file)
  await file.close()
  if (hasAdapters && model.linear !== 'ternary') {
    throw new UsageError(
      `Expected a ternary model for adapters (--lora), got ${init}, whose weights are dense.`,
    )
  }
  if (tokenizer.vocabSize <= model.vocabSize) return model
  throw new UsageError(
    `Expected a tokenizer of at most ${model.vocabSize} tokens, as ${init} has, got ` +
      `${tokenizer.vocabSize}.`,
  )
}

async function fillFrom(init: string, trainer: Trainer): Promise<void> {
  const { file } = await openModelFile(await resolveModel(init))
  try {
    if (trainer.plan.shape.lora !== undefined) await loadFrozenBase(trainer, file)
    else await fillFromModel(trainer, file, await configToRun(file))
  } finally {
    await file.close()
  }
}
