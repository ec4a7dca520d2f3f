/** Training from files to a folder of checkpoints. */
import { BACKENDS, type BackendName } from '../../backends/backend.ts'
import { openBackend } from '../../backends/select.ts'
import { isObject, type JsonObject } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { readConfig } from '../../model/config/read-config.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  type OptionRules,
  oneOf,
  SIGNAL,
  SWITCH,
  TEXT,
} from '../../option-checks.ts'
import { ADAMW } from '../../train/adamw.ts'
import { type RunState, restoreWeights } from '../../train/checkpoint/checkpoint.ts'
import { configJson } from '../../train/checkpoint/config-json.ts'
import { Batches } from '../../train/data/batches.ts'
import { initialWeights } from '../../train/initial-weights.ts'
import { runLoop, type TrainEvent, type TrainReport } from '../../train/loop.ts'
import { planTraining } from '../../train/plan.ts'
import {
  PRESET_NAMES,
  PRESETS,
  type PresetName,
  presetConfig,
  ratesOf,
} from '../../train/presets.ts'
import { END_SHARE, type Schedule, warmupOf } from '../../train/schedule.ts'
import {
  PRECISIONS,
  type Precision,
  QUANT_MODES,
  type QuantMode,
  RECOMPUTE_MODES,
  type RecomputeMode,
  rowsOf,
  type TrainingShape,
} from '../../train/shape.ts'
import { Trainer } from '../../train/trainer.ts'
import { openModelFile } from '../open-model.ts'
import { resolveModel } from '../resolve-model.ts'
import {
  lockRun,
  logEvent,
  newestCheckpoint,
  readRunState,
  restoreCheckpoint,
  saveCheckpoint,
  tokenFolder,
} from './run-folder.ts'
import { openTokens, type TokenFile, type TokenizingProgress } from './token-file.ts'
import { BYTES, openRunTokenizer, type RunTokenizer } from './tokenizer-folder.ts'

export interface TrainOptions {
  /** Texts, .jsonl files or folders; "path=2" counts twice as much as its size says. */
  readonly data: readonly string[]
  /** The folder of the run. */
  readonly out: string
  /** "bytes" (default), a tokenizer.json, or a model that has one. */
  readonly tokenizer?: string | undefined
  /** Unset: tiny. */
  readonly preset?: PresetName | undefined
  /** Unset: b158. */
  readonly quant?: QuantMode | undefined
  /** How long: one of these. Unset: once through the text. */
  readonly steps?: number | undefined
  readonly tokens?: number | undefined
  readonly hours?: number | undefined
  /** A model to go on from, with masters; its shape and tokenizer are taken. */
  readonly init?: string | undefined
  /** Sequences in a pass, tokens of each, and passes in a step. Unset: the preset's, and 1. */
  readonly batch?: number | undefined
  readonly length?: number | undefined
  readonly accumulate?: number | undefined
  /** Peak of the first line, and of the second. Unset: the preset's. */
  readonly lr?: number | undefined
  readonly lr2?: number | undefined
  readonly warmup?: number | undefined
  /** Weight decay of the first half. Unset: 0.1. */
  readonly decay?: number | undefined
  /** The largest norm of a gradient, 0 for any. Unset: 1. */
  readonly clip?: number | undefined
  readonly seed?: number | undefined
  readonly recompute?: RecomputeMode | undefined
  /** f16: a GPU with matrices of halves multiplies in them, at several times the speed. Unset: f32. */
  readonly precision?: Precision | undefined
  /** Steps between two looks at held-out text, and two checkpoints. Unset: 100, and 500. */
  readonly evalEvery?: number | undefined
  readonly saveEvery?: number | undefined
  /** How many checkpoints stay. Unset: 3. */
  readonly keep?: number | undefined
  /** Where it runs. Unset: the native backend, or WebAssembly where there is none; never a GPU by itself. */
  readonly backend?: 'auto' | BackendName | undefined
  readonly isa?: string | undefined
  readonly threads?: number | undefined
  /** Go on from the newest checkpoint in `out`, with the settings it was made with. */
  readonly resume?: boolean | undefined
  readonly onEvent?: ((event: TrainEvent | StartEvent) => void) | undefined
  readonly onProgress?: ((progress: TokenizingProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a run is, before its first step. */
export interface StartEvent {
  readonly type: 'start'
  readonly step: number
  readonly steps: number
  readonly backend: string
  readonly parameters: number
  readonly tokens: number
  /** Of memory, planned. */
  readonly bytes: number
}

const POSITIVE = {
  expected: 'a number above 0',
  holds: (value: unknown) => typeof value === 'number' && value > 0 && value < Infinity,
}
const NOT_NEGATIVE = {
  expected: 'a number from 0 on',
  holds: (value: unknown) => typeof value === 'number' && value >= 0 && value < Infinity,
}

const TRAIN_OPTIONS: OptionRules<TrainOptions> = {
  data: {
    expected: 'a list of paths',
    holds: (value) =>
      Array.isArray(value) && value.length > 0 && value.every((path) => typeof path === 'string'),
  },
  out: TEXT,
  tokenizer: TEXT,
  preset: oneOf(PRESET_NAMES),
  quant: oneOf(QUANT_MODES),
  steps: { ...COUNT, also: ['max_steps'] },
  tokens: COUNT,
  hours: POSITIVE,
  init: TEXT,
  batch: { ...COUNT, also: ['batch_size'] },
  length: { ...COUNT, also: ['seq_len', 'block_size', 'context'] },
  accumulate: { ...COUNT, also: ['gradient_accumulation_steps'] },
  lr: { ...POSITIVE, also: ['learning_rate'] },
  lr2: POSITIVE,
  warmup: { ...COUNT, also: ['warmup_steps'] },
  decay: { ...NOT_NEGATIVE, also: ['weight_decay'] },
  clip: { ...NOT_NEGATIVE, also: ['max_grad_norm', 'grad_clip'] },
  seed: {
    expected: 'a whole number from 0 on',
    holds: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  },
  recompute: oneOf(RECOMPUTE_MODES),
  precision: oneOf(PRECISIONS),
  evalEvery: COUNT,
  saveEvery: COUNT,
  keep: COUNT,
  resume: SWITCH,
  backend: oneOf(['auto', ...BACKENDS]),
  isa: TEXT,
  threads: COUNT,
  onEvent: FUNCTION,
  onProgress: FUNCTION,
  signal: SIGNAL,
}

/** Weight decay of the recipe's first half. */
const DECAY = 0.1
const EVAL_EVERY = 100
const SAVE_EVERY = 500
const KEEP = 3

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
  const { out, signal, onEvent, onProgress } = options
  const newest = await newestCheckpoint(out)
  if (newest !== undefined && options.resume !== true) {
    throw new UsageError(
      `${newest} is there already. Choose another folder, or go on with that run (--resume).`,
    )
  }
  if (newest === undefined && options.resume === true) {
    throw new UsageError(`Expected a checkpoint to go on from in ${out}, got none.`)
  }
  const kept = newest === undefined ? undefined : await readRunState(newest)
  const text = await openRunTokenizer(options.tokenizer ?? options.init ?? BYTES, { signal })
  const shape = await shapeOf(options, text)
  const sources = await openSources(options, text)
  const bytes = Object.values(planTraining(shape).bytes).reduce((sum, own) => sum + own, 0)
  const { backend: name, isa, threads } = options
  const backend = await openBackend({ backend: name, isa, threads, expectedBytes: bytes })
  try {
    const trainer = await Trainer.open(backend, shape)
    const seed = options.seed ?? 0
    const batches = new Batches(
      sources.map(({ file, weight }) => ({ source: file, weight: weight * file.count })),
      shape,
      seed,
    )
    const accumulate = options.accumulate ?? 1
    const steps = kept?.state.steps ?? (await stepsOf(options, trainer, batches, accumulate))
    const schedule = scheduleOf(options, steps)
    const optimizer = { ...ADAMW, clip: options.clip ?? ADAMW.clip }
    const settings = {
      ...{ model: shape.model, quant: shape.quant, batch: shape.batch, length: shape.length },
      ...{ accumulate, schedule, optimizer, seed, tokenizer: text.hash },
      ...(shape.precision === 'f16' && { precision: shape.precision }),
      data: sources.map(({ file, weight }) => ({ path: file.name, weight, tokens: file.count })),
    }
    if (kept !== undefined) checkSame(kept.settings, settings)
    await fillWeights(trainer, options, newest, seed)
    const from: RunState = kept?.state ?? {
      ...{ step: 0, steps, cursor: batches.cursor, firstLoss: undefined, seconds: 0 },
    }
    batches.seek(from.cursor)
    let logged = Promise.resolve()
    let unlogged: { error: unknown } | undefined
    const tell = (event: TrainEvent | StartEvent) => {
      if (event.type !== 'start') {
        logged = logged
          .then(() => logEvent(out, event))
          .catch((error: unknown) => {
            unlogged ??= { error }
          })
      }
      onEvent?.(event)
    }
    const parameters = trainer.plan.parts.reduce((sum, { count }) => sum + count, 0)
    const tokens = sources.reduce((sum, { file }) => sum + file.count, 0)
    const about = { step: from.step, steps, backend: backend.description }
    tell({ type: 'start', ...about, parameters, tokens, bytes })
    const config = configJson(shape.model, text.tokenizer)
    const report = await runLoop(
      {
        backend,
        trainer,
        batches,
        save: (state) =>
          saveCheckpoint(
            out,
            { trainer, state, settings, config, files: text.files },
            options.keep ?? KEEP,
          ),
        onEvent: tell,
        signal,
      },
      {
        ...{ schedule, optimizer, accumulate },
        evalEvery: options.evalEvery ?? EVAL_EVERY,
        saveEvery: options.saveEvery ?? SAVE_EVERY,
        bytesPerToken: sources.reduce((sum, { file }) => sum + file.textBytes, 0) / tokens,
      },
      from,
    )
    await logged
    if (unlogged !== undefined) throw unlogged.error
    return report
  } finally {
    await backend.dispose()
    await Promise.all(sources.map(({ file }) => file.close()))
  }

  async function openSources({ data }: TrainOptions, { tokenizer, hash }: RunTokenizer) {
    const opened: { file: TokenFile; weight: number }[] = []
    for (const entry of data) {
      const [, path, weight] = /^(.*?)(?:=(\d+(?:\.\d+)?))?$/s.exec(entry) ?? []
      const file = await openTokens(path, {
        ...{ tokenizer, tokenizerHash: hash, folder: tokenFolder(out), onProgress, signal },
      })
      opened.push({ file, weight: weight === undefined ? 1 : Number(weight) })
    }
    return opened
  }
}

async function shapeOf(options: TrainOptions, { tokenizer }: RunTokenizer): Promise<TrainingShape> {
  const quant = options.quant ?? 'b158'
  const preset = PRESETS[options.preset ?? 'tiny']
  let model: ModelConfig
  if (options.init === undefined) {
    model = presetConfig(options.preset ?? 'tiny', quant, tokenizer.vocabSize)
  } else {
    const opened = await openModelFile(await resolveModel(options.init))
    await opened.file.close()
    model = { ...readConfig(opened.file), linear: quant === 'none' ? 'dense' : 'ternary' }
    if (tokenizer.vocabSize > model.vocabSize) {
      throw new UsageError(
        `Expected a tokenizer of at most ${model.vocabSize} tokens, as ${options.init} has, got ` +
          `${tokenizer.vocabSize}.`,
      )
    }
  }
  return {
    ...{ model, quant, batch: options.batch ?? preset.batch },
    length: options.length ?? Math.min(preset.length, model.contextLength),
    recompute: options.recompute ?? 'none',
    precision: options.precision ?? 'f32',
  }
}

function scheduleOf(options: TrainOptions, steps: number): Schedule {
  const [first, second] = ratesOf(PRESETS[options.preset ?? 'tiny'], options.quant ?? 'b158')
  const peak = options.lr ?? first
  return {
    steps,
    warmup: Math.min(options.warmup ?? warmupOf(steps), steps),
    peaks: [peak, options.lr2 ?? (peak * second) / first],
    endShare: END_SHARE,
    decay: options.decay ?? DECAY,
  }
}

/** Passes that are timed for a run of so many hours. */
const TIMED_PASSES = 3

async function stepsOf(
  { steps, tokens, hours }: TrainOptions,
  trainer: Trainer,
  batches: Batches,
  accumulate: number,
): Promise<number> {
  if ([steps, tokens, hours].filter((own) => own !== undefined).length > 1) {
    throw new UsageError('Expected one of steps, tokens and hours, got several.')
  }
  const { shape } = trainer.plan
  if (steps !== undefined) return steps
  if (tokens !== undefined) return Math.ceil(tokens / (rowsOf(shape) * accumulate))
  if (hours === undefined) {
    return Math.max(1, Math.floor(batches.learntWindows / (shape.batch * accumulate)))
  }
  const cursor = batches.cursor
  const passes = await batches.next(TIMED_PASSES)
  trainer.gradients(passes.slice(0, 1))
  await trainer.done()
  const began = performance.now()
  trainer.gradients(passes)
  await trainer.done()
  batches.seek(cursor)
  const seconds = ((performance.now() - began) / 1000 / TIMED_PASSES) * accumulate
  return Math.max(1, Math.round((hours * 3600) / seconds))
}

async function fillWeights(
  trainer: Trainer,
  { init }: TrainOptions,
  checkpoint: string | undefined,
  seed: number,
): Promise<void> {
  if (checkpoint !== undefined) return restoreCheckpoint(checkpoint, trainer)
  if (init !== undefined) {
    const { file } = await openModelFile(await resolveModel(init))
    try {
      return await restoreWeights(trainer, file.tensors)
    } finally {
      await file.close()
    }
  }
  for (const part of trainer.plan.parts) {
    trainer.write('weights', part, initialWeights(trainer.plan, part, seed))
  }
}

/** @throws UsageError naming the first setting in which a run that goes on differs */
function checkSame(before: JsonObject, now: JsonObject, path = ''): void {
  for (const [key, value] of Object.entries(JSON.parse(JSON.stringify(now)) as JsonObject)) {
    const old = before[key]
    const name = `${path}${key}`
    if (isObject(value) && isObject(old)) {
      checkSame(old, value, `${name}.`)
    } else if (JSON.stringify(value) !== JSON.stringify(old)) {
      throw new UsageError(
        `Expected ${name} to be ${JSON.stringify(old)}, as in the run that goes on, got ` +
          `${JSON.stringify(value)}. Give it the same options and texts, or begin anew in another folder.`,
      )
    }
  }
}
