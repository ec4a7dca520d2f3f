/**
 * A model in training on a backend: its parameters, and programs that are recorded once and run for every step.
 * Nothing is read back but losses and the gradient's norm, when they are asked for.
 */
import type { Backend, Program } from '../backends/backend.ts'
import { ShapeError } from '../errors.ts'
import { ternaryByteLength } from '../kernels/matrices.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, sliceOf } from '../kernels/slice.ts'
import { bytesOf } from '../model/buffer-owner.ts'
import type { Part, Stack } from '../model/layers.ts'
import { packRows } from '../ternary/index.ts'
import { type AdamwSettings, clearCommands, stepNumbers, updateCommands } from './adamw.ts'
import { backwardCommands, headCommands } from './backward.ts'
import { CodeLook, type CodesSeen } from './code-look.ts'
import {
  type ContinuationTask,
  prepareContinuation,
  type TextContinuation,
} from './continue-texts.ts'
import { forwardCommands, quantizeCommands } from './forward.ts'
import { checkHalves } from './halves-check.ts'
import { allocateTraining, type TrainingMemory } from './memory.ts'
import { writeMuonNumbers } from './muon.ts'
import { type PlannedPart, planTraining, type TrainingPlan } from './plan.ts'
import { checkShape, lossScaleOf, quantizerShare, rowsOf, type TrainingShape } from './shape.ts'
import { lossOf, normOf, StepLosses } from './step-losses.ts'

/** Sequences of a pass, (batch * length) each. */
export interface TrainingBatch {
  readonly tokens: Int32Array
  /** What should follow each token. */
  readonly targets: Int32Array
  /** What each counts in the loss: 1 over the tokens of the step, 0 for what is not learnt from. */
  readonly weights: Float32Array
}

/** What changes from step to step. */
export interface StepSettings extends AdamwSettings {
  /** Steps done before. */
  readonly step: number
  readonly rate: number
  readonly decay: number
}

/** `blend` learns while quantisers come in. */
const PROGRAMS = ['clear', 'quantize', 'learn', 'blend', 'score', 'update'] as const
type Programs = Readonly<Record<(typeof PROGRAMS)[number], Program>>

/** The arenas that are kept of a run. */
export const KEPT_ARENAS = ['weights', 'means', 'squares'] as const
export type KeptArena = (typeof KEPT_ARENAS)[number]

export class Trainer {
  readonly plan: TrainingPlan
  readonly #memory: TrainingMemory
  readonly #programs: Programs
  #look: CodeLook | undefined
  /** Programs beside those of every step. */
  readonly #others: Program[] = []

  private constructor(plan: TrainingPlan, memory: TrainingMemory, programs: Programs) {
    this.plan = plan
    this.#memory = memory
    this.#programs = programs
  }

  /**
   * Parameters are zero until they are written.
   *
   * @throws UsageError for a shape that there is no graph for; BackendError where there is no room, or halves are wrong
   */
  static async open(backend: Backend, shape: TrainingShape): Promise<Trainer> {
    checkShape(shape)
    const plan = planTraining(shape)
    const memory = allocateTraining(backend, plan)
    try {
      await backend.ready()
      if (shape.precision === 'f16') await checkHalves(backend)
      const forward = forwardCommands(memory, shape)
      const head = (learns: boolean) => headCommands(memory, shape, plan.chunkRows, learns)
      const learn = (own: TrainingMemory) => [
        ...forwardCommands(own, shape),
        ...head(true),
        ...backwardCommands(own, shape),
      ]
      const { scratch, share } = memory
      const lists: Readonly<Record<keyof Programs, Command[]>> = {
        clear: clearCommands(memory),
        quantize: quantizeCommands(memory, shape),
        learn: learn(memory),
        blend: shape.quantizationWarmup ? learn({ ...memory, scratch: { ...scratch, share } }) : [],
        score: [...forward, ...head(false)],
        update: updateCommands(memory, plan),
      }
      // Steps are float32 throughout, whatever gradients came of.
      const rounded = (name: keyof Programs) =>
        name === 'update' ? lists[name] : roundedAs(shape, lists[name])
      const programs = await Promise.all(PROGRAMS.map((name) => backend.record(rounded(name))))
      const named = Object.fromEntries(PROGRAMS.map((name, i) => [name, programs[i]]))
      return new Trainer(plan, memory, named as unknown as Programs)
    } catch (error) {
      memory.owner.dispose()
      throw error
    }
  }

  get #lossScale(): number {
    return lossScaleOf(this.plan.shape)
  }

  get #backend(): Backend {
    return this.#memory.owner.backend
  }

  /** Adds up the gradients of some batches and takes a step. Returns at once. */
  step(batches: Iterable<TrainingBatch>, settings: StepSettings): void {
    const { step, rate } = settings
    this.gradients(batches, quantizerShare(this.plan.shape, step))
    for (const [i, { decays }] of this.plan.groups.entries()) {
      const numbers = stepNumbers(
        settings,
        step,
        rate,
        decays ? settings.decay : 0,
        this.#lossScale,
      )
      this.#backend.write(this.#memory.numbers[i], 0, bytesOf(numbers))
    }
    writeMuonNumbers(this.#memory, this.plan, settings)
    this.#backend.submit(this.#programs.update)
  }

  /**
   * The gradients of some batches, without a step.
   *
   * @param share of the quantisers' effect; below 1 only in a shape with `quantizationWarmup`
   */
  gradients(batches: Iterable<TrainingBatch>, share = 1): void {
    if (share < 1) this.#backend.write(this.#memory.share, 0, bytesOf(Float32Array.of(share)))
    this.#run(batches, share < 1 ? this.#programs.blend : this.#programs.learn)
  }

  /** The losses of some batches, which nothing is learnt from. */
  score(batches: Iterable<TrainingBatch>): void {
    this.#run(batches, this.#programs.score)
  }

  #run(batches: Iterable<TrainingBatch>, program: Program): void {
    this.#backend.submit(this.#programs.clear)
    this.#backend.submit(this.#programs.quantize)
    for (const batch of batches) {
      this.#write(batch)
      this.#backend.submit(program)
    }
  }

  #write({ tokens, targets, weights }: TrainingBatch): void {
    const rows = rowsOf(this.plan.shape)
    for (const array of [tokens, targets, weights]) {
      if (array.length === rows) continue
      throw new ShapeError(`Expected a batch of ${rows} tokens, got ${array.length}.`)
    }
    this.#backend.write(this.#memory.tokens, 0, bytesOf(tokens))
    this.#backend.write(this.#memory.targets, 0, bytesOf(targets))
    const scaled = weights.map((weight) => weight * this.#lossScale)
    this.#backend.write(this.#memory.lossWeights, 0, bytesOf(scaled))
  }

  /** The loss of what ran last: the sum over its batches. */
  async loss(): Promise<number> {
    const losses = floatsOf(await this.#backend.read(this.#memory.losses))
    return lossOf(losses, this.#lossScale)
  }

  /** The norm of the gradient of the last step, before it was clipped. */
  async gradientNorm(): Promise<number> {
    const squares = floatsOf(await this.#backend.read(this.#memory.squareSum))[0]
    return normOf(squares, this.#lossScale)
  }

  /** Keeps losses and norms of up to `most` steps on the device, while the trainer is there. */
  async stepLosses(most: number): Promise<StepLosses> {
    const losses = await StepLosses.open(this.#memory, this.#lossScale, most)
    this.#others.push(...losses.programs)
    return losses
  }

  /** The logits of a batch, (rows, vocabSize); only where all of them are computed at once. */
  async logits(batch: TrainingBatch): Promise<Float32Array> {
    const { shape, chunkRows } = this.plan
    if (chunkRows < rowsOf(shape))
      throw new ShapeError('Expected a batch whose logits are one chunk.')
    const forward = forwardCommands(this.#memory, shape)
    const head = headCommands(this.#memory, shape, chunkRows, false)
    const program = await this.#backend.record(roundedAs(shape, [...forward, ...head.slice(0, -1)]))
    this.#run([batch], program)
    try {
      return floatsOf(await this.#backend.read(this.#memory.scratch.logits))
    } finally {
      program.dispose()
    }
  }

  /** Shares of codes by layers, and how many have changed since the last look; undefined without ternary weights that are learnt. */
  async look(): Promise<CodesSeen | undefined> {
    if (this.plan.shape.lora !== undefined) return undefined
    this.#look ??= await CodeLook.open(this.#memory)
    this.#backend.submit(this.#programs.quantize)
    return this.#look?.look()
  }

  /** How the model goes on from texts, as often as is asked while the trainer is there. */
  continuation(task: ContinuationTask): Promise<TextContinuation> {
    const { shape } = this.plan
    return prepareContinuation(this.#memory, shape, task, {
      record: async (commands) => {
        const program = await this.#backend.record(roundedAs(shape, commands))
        this.#others.push(program)
        return program
      },
      prepare: () => this.#backend.submit(this.#programs.quantize),
    })
  }

  #slice(arena: keyof TrainingMemory['arenas'], { first, count }: PlannedPart): BufferSlice {
    return sliceOf(this.#memory.arenas[arena], first * WORD, count * WORD)
  }

  /** A parameter, one of its moments or its gradient. */
  async read(arena: keyof TrainingMemory['arenas'], part: PlannedPart): Promise<Float32Array> {
    const values = floatsOf(await this.#backend.read(this.#slice(arena, part)))
    return arena === 'gradients' ? values.map((value) => value / this.#lossScale) : values
  }

  /** @throws ShapeError if there are not as many values as the part has */
  write(arena: KeptArena, part: PlannedPart, values: Float32Array): void {
    if (values.length !== part.count) {
      throw new ShapeError(`Expected ${part.count} values of ${part.role}, got ${values.length}.`)
    }
    this.#backend.write(this.#slice(arena, part), 0, bytesOf(values))
  }

  /** A part that adapters are learnt beside. */
  writeFrozen({ first, count }: PlannedPart, values: Float32Array): void {
    const slice = sliceOf(this.#memory.frozen, first * WORD, count * WORD)
    this.#backend.write(slice, 0, bytesOf(values))
  }

  /**
   * A matrix that adapters are learnt beside.
   *
   * @param codes -1, 0 and +1, row-major
   * @param scales one a row
   */
  writeCodes({ layer = 0, stack, role }: Part, codes: Int8Array, scales: Float32Array): void {
    const { layers, owner } = this.#memory
    const roles = this.plan.parts.filter(
      (part) => part.layer === layer && part.stack === stack && part.factor === 'B',
    )
    const place = roles.findIndex((part) => part.role === role)
    const { codes: matrix } = layers[layer].linears[stack as Stack].matrices[place]
    const { rows, cols } = matrix
    const bytes = new Uint8Array(ternaryByteLength(matrix))
    packRows({ rows, cols, bytes }, codes, rows, 0)
    owner.backend.write(matrix.data, 0, bytes)
    owner.backend.write(matrix.scales, 0, bytesOf(scales))
  }

  /** Settles when all steps so far are done. */
  done(): Promise<void> {
    return this.#backend.done()
  }

  dispose(): void {
    for (const program of Object.values(this.#programs)) program.dispose()
    for (const program of this.#others) program.dispose()
    this.#look?.dispose()
    this.#memory.owner.dispose()
  }
}

/** Commands whose products may round their operands as the shape says. */
function roundedAs({ precision }: TrainingShape, commands: readonly Command[]): readonly Command[] {
  if (precision !== 'f16') return commands
  return commands.map((own) => {
    const { op } = own
    const isProduct =
      op === 'matmul' || op === 'causal-attention' || op === 'causal-attention-backward'
    return isProduct && own.halves !== false ? { ...own, halves: true } : own
  })
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / WORD)
}
