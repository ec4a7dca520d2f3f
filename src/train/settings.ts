/** The options of a run that are the same everywhere, and what follows from them. */
import { BACKENDS, type BackendName } from '../backends/backend.ts'
import { isWhole } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import {
  COUNT,
  FUNCTION,
  listOf,
  type OptionRules,
  oneOf,
  SIGNAL,
  SWITCH,
  TEXT,
} from '../option-checks.ts'
import type { Batches } from './data/batches.ts'
import type { TrainEvent } from './loop.ts'
import {
  DEFAULT_PRESET,
  GATES,
  mixtureNamed,
  PRESET_NAMES,
  PRESETS,
  type PresetName,
  presetConfig,
  ratesOf,
} from './presets.ts'
import { END_SHARE, type Schedule, warmupOf } from './schedule.ts'
import {
  OPTIMIZERS,
  type OptimizerName,
  PRECISIONS,
  type Precision,
  QUANT_MODES,
  type QuantMode,
  RECOMPUTE_MODES,
  type RecomputeMode,
  rowsOf,
  type TrainingShape,
} from './shape.ts'
import type { Trainer } from './trainer.ts'

/** How a model is trained, wherever: what {@link TrainOptions} of Node and of browsers have in common. */
export interface RunSettings {
  /** Unset: tiny. */
  readonly preset?: PresetName | undefined
  /** Unset: b158. */
  readonly quant?: QuantMode | undefined
  /** A mixture of experts in place of each feed-forward: "experts=8,top=2". Unset: none. */
  readonly moe?: string | undefined
  /** Norms before the last matrices of attention and feed-forward, and the feed-forward's gate. Unset: the preset's. */
  readonly subNorms?: boolean | undefined
  readonly gate?: (typeof GATES)[number] | undefined
  /** Steps in which the effect of the quantisers grows from 0 to 1, to go on from a float model. Unset: none. */
  readonly quantizationWarmup?: number | undefined
  /** How long: one of these. Unset: once through the text. */
  readonly steps?: number | undefined
  readonly tokens?: number | undefined
  readonly hours?: number | undefined
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
  /** What takes the steps of the layers' matrices. Unset: adamw. */
  readonly optimizer?: OptimizerName | undefined
  /** The largest norm of a gradient, 0 for any. Unset: 1. */
  readonly clip?: number | undefined
  readonly seed?: number | undefined
  readonly recompute?: RecomputeMode | undefined
  /** f16: a GPU with matrices of halves multiplies in them, at several times the speed. Unset: f32. */
  readonly precision?: Precision | undefined
  /** Steps between two looks at held-out text, and two checkpoints. Unset: 100, and 500. */
  readonly evalEvery?: number | undefined
  /** Steps between two counts of -1, 0 and +1, 0 for none. Unset: 20. */
  readonly lookEvery?: number | undefined
  /** Steps between two samples of what the model writes, 0 for none. Unset: as `evalEvery`. */
  readonly sampleEvery?: number | undefined
  /** The longest sample. Unset: 64. */
  readonly sampleTokens?: number | undefined
  /** What samples go on from. Unset: the beginning of a held-out text. */
  readonly samplePrompts?: readonly string[] | undefined
  readonly saveEvery?: number | undefined
  /**
   * Steps whose losses are read from the device and told together, at most 1000. Unset: 1, on a GPU as many as take half
   * a second (at most 16).
   */
  readonly logEvery?: number | undefined
  /** Where it runs. Unset: the native backend, or WebAssembly where there is none; never a GPU by itself. */
  readonly backend?: 'auto' | BackendName | undefined
  readonly isa?: string | undefined
  readonly threads?: number | undefined
  readonly onEvent?: ((event: TrainEvent | StartEvent) => void) | undefined
  /** Ends the run behind the step at hand, with a checkpoint. */
  readonly signal?: AbortSignal | undefined
}

/** What a run is, before its first step. */
export interface StartEvent {
  readonly type: 'start'
  readonly step: number
  readonly steps: number
  readonly backend: string
  /** What is learnt, and, beside adapters, what is not. */
  readonly parameters: number
  readonly frozen?: number | undefined
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

const COUNT_OR_NONE = {
  expected: 'a whole number from 0 on',
  holds: (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0,
}

/** A row for each. */
export const RUN_SETTINGS: OptionRules<RunSettings> = {
  preset: oneOf(PRESET_NAMES),
  quant: oneOf(QUANT_MODES),
  moe: { ...TEXT, also: ['experts', 'num_experts'] },
  subNorms: { ...SWITCH, also: ['subln', 'sub_ln'] },
  gate: { ...oneOf(GATES), also: ['hidden_act', 'activation'] },
  quantizationWarmup: { ...COUNT, also: ['lambda', 'lambda_', 'quantisationWarmup'] },
  steps: { ...COUNT, also: ['max_steps'] },
  tokens: COUNT,
  hours: POSITIVE,
  batch: { ...COUNT, also: ['batch_size'] },
  length: { ...COUNT, also: ['seq_len', 'block_size', 'context'] },
  accumulate: { ...COUNT, also: ['gradient_accumulation_steps'] },
  lr: { ...POSITIVE, also: ['learning_rate'] },
  lr2: POSITIVE,
  warmup: { ...COUNT, also: ['warmup_steps'] },
  decay: { ...NOT_NEGATIVE, also: ['weight_decay'] },
  clip: { ...NOT_NEGATIVE, also: ['max_grad_norm', 'grad_clip'] },
  optimizer: { ...oneOf(OPTIMIZERS), also: ['optim'] },
  seed: COUNT_OR_NONE,
  recompute: oneOf(RECOMPUTE_MODES),
  precision: oneOf(PRECISIONS),
  evalEvery: COUNT,
  lookEvery: COUNT_OR_NONE,
  sampleEvery: COUNT_OR_NONE,
  sampleTokens: COUNT,
  samplePrompts: listOf(),
  saveEvery: COUNT,
  logEvery: {
    expected: 'a whole number from 1 to 1000',
    holds: (value) => isWhole(value, 1, 1000),
    also: ['logging_steps', 'log_interval'],
  },
  backend: oneOf(['auto', ...BACKENDS]),
  isa: TEXT,
  threads: COUNT,
  onEvent: FUNCTION,
  signal: SIGNAL,
}

/** Weight decay of the recipe's first half. */
const DECAY = 0.1

/**
 * @param model of a run that goes on from one; undefined: the preset's, for a vocabulary
 */
export function shapeOf(
  settings: RunSettings,
  model: ModelConfig | undefined,
  vocabSize: number,
): TrainingShape {
  const quant = settings.quant ?? 'b158'
  const name = settings.preset ?? DEFAULT_PRESET
  const preset = PRESETS[name]
  const mixture = settings.moe === undefined ? undefined : mixtureNamed(settings.moe)
  const { subNorms, gate } = settings
  const given = Object.entries({ moe: mixture, subNorms, gate })
  const [shaping] = given.find(([, value]) => value !== undefined) ?? []
  if (shaping && model) {
    throw new UsageError(
      `Expected ${shaping} with a preset: a model that is gone on from has its shape.`,
    )
  }
  const own: ModelConfig = model
    ? { ...model, linear: quant === 'none' ? 'dense' : 'ternary' }
    : presetConfig(name, quant, vocabSize, mixture, { subNorms, gate })
  return {
    ...{ model: own, quant, batch: settings.batch ?? preset.batch },
    length: settings.length ?? Math.min(preset.length, own.contextLength),
    recompute: settings.recompute ?? 'none',
    precision: settings.precision ?? 'f32',
    balance: mixture?.balance,
    quantizationWarmup: settings.quantizationWarmup,
    optimizer: settings.optimizer ?? 'adamw',
  }
}

export function scheduleOf(options: RunSettings, steps: number): Schedule {
  const [first, second] = ratesOf(
    PRESETS[options.preset ?? DEFAULT_PRESET],
    options.quant ?? 'b158',
  )
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

/** @throws UsageError where several lengths are given */
export async function stepsOf(
  { steps, tokens, hours }: RunSettings,
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
