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
  const tokensPerStep = rowsOf(trainer.plan.shape) * accumulate
  const recent: number[] = []
  let { step, seconds, firstLoss } = from
  let heldOut: number | undefined
  let lookedAt = -1
  let savedAt = -1
  let path = ''
  const bitsOf = (loss: number) =>
    settings.bytesPerToken && loss / Math.LN2 / settings.bytesPerToken
  const keep = async () => {
    if (savedAt === step) return
    path = await save({
      ...{ step, steps, cursor: batches.cursor, firstLoss, seconds },
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
  const began = performance.now()
  const secondsBefore = seconds
  const stepsBefore = step
  while (step < steps && signal?.aborted !== true) {
    const rate = learningRate(schedule, step)
    const decay = weightDecay(schedule, step)
    trainer.step(await batches.next(accumulate, isLate(schedule, step)), {
      ...optimizer,
      step,
      rate,
      decay,
    })
    const [loss, norm] = [await trainer.loss(), await trainer.gradientNorm()]
    firstLoss ??= loss
    recent.push(loss)
    if (recent.length > RECENT) recent.shift()
    checkLoss(step, loss, norm, recent, firstLoss)
    step++
    seconds = secondsBefore + (performance.now() - began) / 1000
    const speed = (step - stepsBefore) / (seconds - secondsBefore)
    onEvent?.({
      type: 'step',
      step,
      steps,
      loss,
      learningRate: rate,
      gradientNorm: norm,
      tokens: step * tokensPerStep,
      tokensPerSecond: speed * tokensPerStep,
      secondsLeft: (steps - step) / speed,
    })
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
  await keep()
  return {
    steps: step,
    tokens: step * tokensPerStep,
    seconds,
    loss: meanOf(recent),
    heldOutLoss: heldOut,
    heldOutBitsPerByte: heldOut === undefined ? undefined : bitsOf(heldOut),
    checkpoint: path,
    stopped: step < steps,
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function checkLoss(
  step: number,
  loss: number,
  norm: number,
  recent: readonly number[],
  first: number,
): void {
  if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
    throw new DivergedError(`in step ${step + 1} it is ${loss} with a gradient of norm ${norm}`)
  }
  const mean = meanOf(recent)
  if (recent.length === RECENT && mean > first + MAX_RISE) {
    throw new DivergedError(
      `around step ${step + 1} it is ${mean.toFixed(2)}, from ${first.toFixed(2)} at first`,
    )
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
