/** The loop of a run: steps by the recipe, held-out loss, checkpoints, and the end when something is wrong. */
import type { Backend } from '../backends/backend.ts'
import { BitnetError } from '../errors.ts'
import { turnOfTheLoop } from '../turns.ts'
import { ADAMW, type AdamwSettings } from './adamw.ts'
import type { RunState } from './checkpoint/checkpoint.ts'
import type { CodesSeen } from './code-look.ts'
import type { TextContinuation } from './continue-texts.ts'
import type { Batches } from './data/batches.ts'
import { isLate, learningRate, type Schedule, weightDecay } from './schedule.ts'
import { rowsOf } from './shape.ts'
import type { StepLosses } from './step-losses.ts'
import type { Trainer } from './trainer.ts'

export type TrainEvent =
  | {
      readonly type: 'step'
      /** Steps done, of all. */
      readonly step: number
      readonly steps: number
      /** Nats a token. */
      readonly loss: number
      readonly learningRate: number
      readonly gradientNorm: number
      readonly tokens: number
      readonly tokensPerSecond: number
      readonly secondsLeft: number
    }
  | {
      readonly type: 'held-out'
      readonly step: number
      readonly loss: number
      readonly bitsPerByte: number | undefined
    }
  | ({ readonly type: 'codes'; readonly step: number } & CodesSeen)
  | {
      readonly type: 'sample'
      readonly step: number
      readonly prompt: string
      /** What the model writes behind the prompt. */
      readonly text: string
    }
  | { readonly type: 'checkpoint'; readonly step: number; readonly path: string }

/** Texts that a model in training goes on with. */
export interface Samples {
  readonly prompts: readonly string[]
  readonly continuation: TextContinuation
  decode(ids: readonly number[]): string
}

export interface LoopSettings {
  readonly schedule: Schedule
  readonly optimizer?: AdamwSettings
  /** Passes whose gradients are added up for a step. */
  readonly accumulate: number
  /** Steps between two looks at held-out text, at ternary codes, two samples and two checkpoints; 0 for none. */
  readonly evalEvery: number
  readonly lookEvery: number
  readonly sampleEvery: number
  readonly saveEvery: number
  /** Steps whose losses are read and told together; undefined: by how long they take. */
  readonly logEvery?: number | undefined
  /** Of the text, for bits per byte. */
  readonly bytesPerToken: number | undefined
}

export interface LoopParts {
  readonly backend: Backend
  readonly trainer: Trainer
  readonly batches: Batches
  readonly samples: Samples | undefined
  /** Writes a checkpoint; gives its path. */
  readonly save: (state: RunState) => Promise<string>
  readonly onEvent?: ((event: TrainEvent) => void) | undefined
  /** Ends the run behind the step at hand, with a checkpoint. */
  readonly signal?: AbortSignal | undefined
}

/** How a run ended. */
export interface TrainReport {
  readonly steps: number
  readonly tokens: number
  readonly seconds: number
  /** Mean of the last steps' losses. */
  readonly loss: number
  readonly heldOutLoss: number | undefined
  readonly heldOutBitsPerByte: number | undefined
  readonly checkpoint: string
  readonly stopped: boolean
}

/** The run is no use any more. Its last good checkpoint is there. */
export class DivergedError extends BitnetError {
  constructor(what: string) {
    super(
      'DIVERGED',
      `Expected the loss to fall, but ${what}. The last checkpoint is from before. Go on from it with a ` +
        'lower learning rate (--lr), a longer warm-up (--warmup) or gradients clipped lower (--clip).',
    )
  }

  override get name() {
    return 'DivergedError' as const
  }
}

/**
 * Losses that are averaged, and how far their mean may be above the first. Fewer say nothing: a few steps with a
 * high rate may well be worse than none.
 */
const RECENT = 20
const MAX_RISE = 1

/** Of a GPU's steps, unless it is said otherwise, as many are told together as take so long, at most so many. */
const TOLD_EVERY_MS = 500
const MOST_TOLD = 16

/**
 * @param from where to go on; the trainer and the batches are there already
 * @throws DivergedError; what the backend or `save` throws
 */
export async function runLoop(
  parts: LoopParts,
  settings: LoopSettings,
  from: RunState,
): Promise<TrainReport> {
  const { trainer, batches, samples, save, onEvent, signal } = parts
  const { schedule, accumulate, evalEvery, lookEvery, sampleEvery, saveEvery } = settings
  const optimizer = settings.optimizer ?? ADAMW
  const { steps } = schedule
  let { step } = from
  let heldOut: number | undefined
  let lookedAt = -1
  let savedAt = -1
  let path = ''
  const bitsOf = (loss: number) =>
    settings.bytesPerToken && loss / Math.LN2 / settings.bytesPerToken
  const keep = async () => {
    if (savedAt === step) return
    path = await save({
      ...{ step, steps, cursor: batches.cursor, ...told.state },
      ...(lookedAt === step && { heldOutLoss: heldOut }),
    })
    savedAt = step
    onEvent?.({ type: 'checkpoint', step, path })
  }
  const isDue = (every: number) => every > 0 && (step % every === 0 || step === steps)
  const look = async () => {
    const seen = await trainer.look()
    if (seen !== undefined) onEvent?.({ type: 'codes', step, ...seen })
  }
  if (lookEvery > 0) await look()
  const told = await ToldSteps.open(parts, settings, from)
  while (step < steps && signal?.aborted !== true) {
    const rate = learningRate(schedule, step)
    const decay = weightDecay(schedule, step)
    trainer.step(await batches.next(accumulate, isLate(schedule, step)), {
      ...optimizer,
      step,
      rate,
      decay,
    })
    step++
    // What comes below is of steps that were good.
    const isNow = [lookEvery, evalEvery, sampleEvery, saveEvery].some(isDue)
    if (told.add(rate) || isNow) await told.tell(step)
    if (isDue(lookEvery)) await look()
    if (isDue(evalEvery)) {
      heldOut = await heldOutLoss(trainer, batches)
      lookedAt = step
      onEvent?.({ type: 'held-out', step, loss: heldOut, bitsPerByte: bitsOf(heldOut) })
    }
    if (samples !== undefined && isDue(sampleEvery)) {
      const texts = await samples.continuation.run(step)
      for (const [i, prompt] of samples.prompts.entries()) {
        onEvent?.({ type: 'sample', step, prompt, text: samples.decode(texts[i]) })
      }
    }
    if (step % saveEvery === 0) await keep()
    // Where all runs on this thread, nobody else could ask for the end.
    await turnOfTheLoop()
  }
  await told.tell(step)
  await keep()
  return {
    steps: step,
    tokens: step * told.tokensPerStep,
    seconds: told.state.seconds,
    loss: told.recentLoss,
    heldOutLoss: heldOut,
    heldOutBitsPerByte: heldOut === undefined ? undefined : bitsOf(heldOut),
    checkpoint: path,
    stopped: step < steps,
  }
}

/** Tells of steps, several at a time: losses wait on the device until then. */
class ToldSteps {
  readonly tokensPerStep: number
  readonly #losses: StepLosses
  readonly #settings: LoopSettings
  readonly #onEvent: LoopParts['onEvent']
  readonly #from: RunState
  readonly #began = performance.now()
  readonly #most: number
  #together: number
  #seconds: number
  #firstLoss: number | undefined
  /** Rates of the steps that were not told yet. */
  #rates: number[] = []
  readonly #recent: number[] = []

  private constructor(
    losses: StepLosses,
    most: number,
    { trainer, onEvent }: LoopParts,
    settings: LoopSettings,
    from: RunState,
  ) {
    this.#losses = losses
    this.#most = most
    this.#settings = settings
    this.#onEvent = onEvent
    this.#from = from
    this.#together = settings.logEvery ?? 1
    this.#seconds = from.seconds
    this.#firstLoss = from.firstLoss
    this.tokensPerStep = rowsOf(trainer.plan.shape) * settings.accumulate
  }

  static async open(parts: LoopParts, settings: LoopSettings, from: RunState): Promise<ToldSteps> {
    const most = settings.logEvery ?? (parts.backend.name === 'webgpu' ? MOST_TOLD : 1)
    return new ToldSteps(await parts.trainer.stepLosses(most), most, parts, settings, from)
  }

  /** What a run that goes on has to know of the steps that were told. */
  get state(): Pick<RunState, 'firstLoss' | 'seconds'> {
    return { firstLoss: this.#firstLoss, seconds: this.#seconds }
  }

  get recentLoss(): number {
    return this.#recent.reduce((sum, loss) => sum + loss, 0) / this.#recent.length
  }

  /**
   * A step that was begun.
   *
   * @returns whether it is time to tell
   */
  add(rate: number): boolean {
    this.#losses.keep()
    this.#rates.push(rate)
    return this.#rates.length >= this.#together
  }

  /** @throws DivergedError */
  async tell(step: number): Promise<void> {
    const { steps } = this.#settings.schedule
    const rates = this.#rates
    this.#rates = []
    const found = await this.#losses.read()
    const before = this.#seconds
    this.#seconds = this.#from.seconds + (performance.now() - this.#began) / 1000
    const speed = (step - this.#from.step) / (this.#seconds - this.#from.seconds)
    if (this.#settings.logEvery === undefined && found.length > 0) {
      const each = (1000 * (this.#seconds - before)) / found.length
      this.#together = Math.min(this.#most, Math.max(1, Math.floor(TOLD_EVERY_MS / each)))
    }
    for (const [i, { loss, norm }] of found.entries()) {
      const done = step - found.length + i + 1
      this.#check(done, loss, norm)
      this.#onEvent?.({
        ...{ type: 'step', step: done, steps, loss, learningRate: rates[i], gradientNorm: norm },
        tokens: done * this.tokensPerStep,
        tokensPerSecond: speed * this.tokensPerStep,
        secondsLeft: (steps - done) / speed,
      })
    }
  }

  #check(step: number, loss: number, norm: number): void {
    this.#firstLoss ??= loss
    this.#recent.push(loss)
    if (this.#recent.length > RECENT) this.#recent.shift()
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      throw new DivergedError(`in step ${step} it is ${loss} with a gradient of norm ${norm}`)
    }
    const mean = this.recentLoss
    if (this.#recent.length === RECENT && mean > this.#firstLoss + MAX_RISE) {
      throw new DivergedError(
        `around step ${step} it is ${mean.toFixed(2)}, from ${this.#firstLoss.toFixed(2)} at first`,
      )
    }
  }
}

/** The mean loss of what is held out. */
async function heldOutLoss(trainer: Trainer, batches: Batches): Promise<number> {
  let sum = 0
  let count = 0
  for await (const batch of batches.heldOut()) {
    trainer.score([batch])
    sum += await trainer.loss()
    count++
  }
  return sum / count
}
