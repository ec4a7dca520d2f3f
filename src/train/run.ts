/**
 * A run, wherever its text and its checkpoints lie: the model, its steps and what is recorded of them. Node and
 * browsers bring the place.
 */
import type { Backend, BackendOptions } from '../backends/backend.ts'
import { isObject, type JsonObject } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { partsOf } from '../model/layers.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import { ADAMW } from './adamw.ts'
import { adapterConfig } from './checkpoint/adapter-config.ts'
import type { CheckpointContent, RunState } from './checkpoint/checkpoint.ts'
import { configJson } from './checkpoint/config-json.ts'
import { Batches } from './data/batches.ts'
import type { TokenizerFile } from './data/run-tokenizer.ts'
import type { TokenSource } from './data/token-source.ts'
import { fillRandomly } from './initial-weights.ts'
import { runLoop, type Samples, type TrainEvent, type TrainReport } from './loop.ts'
import type { LowRank } from './low-rank-plan.ts'
import { planTraining } from './plan.ts'
import { DEFAULT_PRESET } from './presets.ts'
import { type RunSettings, type StartEvent, scheduleOf, shapeOf, stepsOf } from './settings.ts'
import { balanceOf } from './shape.ts'
import { Trainer } from './trainer.ts'

/** The tokenizer that a run takes, with the files that its checkpoints get. */
export interface RunTokenizer {
  readonly tokenizer: TextTokenizer
  readonly files: readonly TokenizerFile[]
  /** Of the files. */
  readonly hash: string
}

/** Tokenised text, and how much text it was. */
export interface TextSource extends TokenSource {
  /** Bytes of UTF-8. */
  readonly textBytes: number
}

/** Where a run lives. */
export interface RunPlace {
  readonly text: RunTokenizer
  /** Each with what it counts beside the others, times its size, and in the second half of the steps. */
  readonly sources: readonly {
    readonly source: TextSource
    readonly weight: number
    readonly lateWeight?: number | undefined
  }[]
  /** The shape of a model that is gone on from; undefined: the preset's. */
  readonly model: ModelConfig | undefined
  /** Adapters beside that model, in place of it; what it is called. */
  readonly lora?: (LowRank & { readonly base: string }) | undefined
  /** Where the run was, if it goes on. */
  readonly kept: { readonly state: RunState; readonly settings: JsonObject } | undefined
  openBackend(options: BackendOptions): Promise<Backend>
  /** Keeps what the run was made with, all of it. */
  readonly record?: ((settings: RunSettings) => Promise<void>) | undefined
  /** Writes the weights to begin with, unless they are to be random. */
  readonly fill?: ((trainer: Trainer) => Promise<void>) | undefined
  /** Keeps a checkpoint; gives its path. */
  save(content: CheckpointContent): Promise<string>
  /** Keeps an event. What goes wrong with it ends the run, when it is over. */
  log(event: TrainEvent | StartEvent): Promise<void>
}

const EVAL_EVERY = 100
const LOOK_EVERY = 20
const SAVE_EVERY = 500
/** Tokens of a sample, and of the held-out text that it goes on from. */
const SAMPLE_TOKENS = 64
const SAMPLE_PROMPT = 24
/** More texts than this would take longer than they tell. */
const MAX_PROMPTS = 16

/**
 * @throws UsageError for options and data that do not go together; DivergedError; BackendError without memory;
 *   what the place throws
 */
export async function runTraining(place: RunPlace, options: RunSettings): Promise<TrainReport> {
  const { text, sources, kept } = place
  const { signal, onEvent } = options
  const { lora } = place
  const shape = {
    ...shapeOf(options, place.model, text.tokenizer.vocabSize),
    ...(lora && { lora }),
  }
  const bytes = Object.values(planTraining(shape).bytes).reduce((sum, own) => sum + own, 0)
  const { backend: name, isa, threads } = options
  const backend = await place.openBackend({ backend: name, isa, threads, expectedBytes: bytes })
  try {
    const trainer = await Trainer.open(backend, shape)
    const seed = options.seed ?? 0
    const batches = new Batches(
      sources.map(({ source, weight, lateWeight = weight }) => ({
        ...{ source, weight: weight * source.count, lateWeight: lateWeight * source.count },
      })),
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
      ...(shape.optimizer === 'muon' && { matrices: shape.optimizer }),
      ...(shape.quantizationWarmup && { quantizationWarmup: shape.quantizationWarmup }),
      ...(lora && { lora }),
      ...(shape.model.experts && { balance: balanceOf(shape) }),
      data: sources.map(({ source, weight, lateWeight }) => ({
        ...{ path: source.name, weight, tokens: source.count },
        ...(lateWeight !== undefined && { lateWeight }),
      })),
    }
    if (kept !== undefined) checkSame(kept.settings, settings)
    await place.record?.({
      ...{ ...options, hours: undefined, tokens: undefined, steps },
      ...{ quant: shape.quant, batch: shape.batch, length: shape.length, accumulate, seed },
      ...{ lr: schedule.peaks[0], lr2: schedule.peaks[1], warmup: schedule.warmup },
      ...{ decay: schedule.decay, clip: optimizer.clip, optimizer: shape.optimizer },
      ...{ recompute: shape.recompute, precision: shape.precision },
      ...(place.model === undefined && { preset: options.preset ?? DEFAULT_PRESET }),
    })
    if (place.fill === undefined) fillRandomly(trainer, seed)
    else await place.fill(trainer)
    const from: RunState = kept?.state ?? {
      ...{ step: 0, steps, cursor: batches.cursor, firstLoss: undefined, seconds: 0 },
    }
    batches.seek(from.cursor)
    let logged = Promise.resolve()
    let unlogged: { error: unknown } | undefined
    const tell = (event: TrainEvent | StartEvent) => {
      logged = logged
        .then(() => place.log(event))
        .catch((error: unknown) => {
          unlogged ??= { error }
        })
      onEvent?.(event)
    }
    const parameters = trainer.plan.parts.reduce((sum, { count }) => sum + count, 0)
    const tokens = sources.reduce((sum, { source }) => sum + source.count, 0)
    const about = { step: from.step, steps, backend: backend.description }
    const frozen = partsOf(shape.model).reduce((sum, { rows, cols }) => sum + rows * cols, 0)
    tell({ type: 'start', ...about, parameters, tokens, bytes, ...(lora && { frozen }) })
    const config = lora ? adapterConfig(lora, shape.model) : configJson(shape.model, text.tokenizer)
    const { evalEvery = EVAL_EVERY, sampleEvery = evalEvery } = options
    const samples =
      sampleEvery === 0 ? undefined : await openSamples(trainer, batches, text, options)
    const report = await runLoop(
      {
        backend,
        trainer,
        batches,
        samples,
        save: (state) =>
          place.save({ trainer, state, settings, config, files: lora ? [] : text.files }),
        onEvent: tell,
        signal,
      },
      {
        ...{ schedule, optimizer, accumulate },
        ...{ evalEvery, sampleEvery, lookEvery: options.lookEvery ?? LOOK_EVERY },
        ...{ saveEvery: options.saveEvery ?? SAVE_EVERY, logEvery: options.logEvery },
        bytesPerToken: sources.reduce((sum, { source }) => sum + source.textBytes, 0) / tokens,
      },
      from,
    )
    await logged
    if (unlogged !== undefined) throw unlogged.error
    return report
  } finally {
    await backend.dispose()
  }
}

async function openSamples(
  trainer: Trainer,
  batches: Batches,
  { tokenizer }: RunTokenizer,
  { samplePrompts, sampleTokens: maxTokens = SAMPLE_TOKENS }: RunSettings,
): Promise<Samples> {
  const ids = samplePrompts?.map((prompt) => tokenizer.encode(prompt)) ?? []
  const empty = ids.findIndex((own) => own.length === 0)
  if (empty >= 0 || ids.length > MAX_PROMPTS) {
    throw new UsageError(
      `Expected at most ${MAX_PROMPTS} prompts of a token at least for samples, got ` +
        `${empty >= 0 ? 'an empty one' : ids.length}.`,
    )
  }
  if (ids.length === 0) {
    const { tokens } = await batches.firstHeldOut()
    ids.push([...tokens.subarray(0, Math.min(SAMPLE_PROMPT, trainer.plan.shape.length - 1))])
  }
  return {
    prompts: ids.map((own) => tokenizer.decode(own)),
    continuation: await trainer.continuation({
      ...{ prompts: ids, maxTokens, stops: new Set(tokenizer.stopIds) },
    }),
    decode: (own) => tokenizer.decode(own),
  }
}

/** @throws UsageError naming the first setting in which a run that goes on differs */
function checkSame(before: JsonObject, now: JsonObject, path = ''): void {
  const given: JsonObject = JSON.parse(JSON.stringify(now))
  for (const key of new Set([...Object.keys(given), ...Object.keys(before)])) {
    const [old, value] = [before[key], given[key]]
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
