/**
 * The decoder on a backend: checks a batch, writes it into the step buffer, replays the recorded pass
 * and waits for the logits alone. What a pass computes is in forward.ts.
 */

import type { Backend, Program } from '../backends/backend.ts'
import { checkCounting } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { Command } from '../kernels/ops.ts'
import { type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import type { CacheType } from '../kernels/storage.ts'
import { SCORE_FLOATS } from '../kernels/token-scores/reference.ts'
import { allocateActivations, grownLogitRows, passRows, targetBuffers } from './activations.ts'
import { scoresIn, stepEntries, targetPairs } from './batch-words.ts'
import { BufferOwner, bytesOf } from './buffer-owner.ts'
import type { Rotations } from './cache/cache-memory.ts'
import {
  type CacheBytes,
  type CacheFacts,
  cacheBytesPerToken,
  DecoderCache,
} from './cache/kv-cache.ts'
import { checkBatch, checkDraws, checkTargets, withSteps } from './check-batch.ts'
import type { ModelConfig } from './config/config.ts'
import type { DecoderOptions } from './decoder-options.ts'
import type {
  DecodeEngine,
  PassResults,
  PassWants,
  RowBatch,
  ScoreTargets,
  TokenScores,
} from './engine.ts'
import {
  type Activations,
  type DecoderWeights,
  type FfnWatch,
  forward,
  type MatmulPrecision,
} from './forward.ts'
import { HeadLook } from './head-look.ts'
import { type PassShape, ProgramCache, wordsOf } from './program-cache.ts'
import { cutBatch, PromptParts } from './prompt-parts.ts'
import { growingRotations } from './rotations.ts'
import { behind, isAhead, type StepsAhead, type WantedDraws } from './steps-ahead.ts'
import type { DrawnTokens } from './token-draw.ts'
import { type DrawShape, MAX_STEPS, TokenSampler } from './token-sampler.ts'

/** Shapes that recur: a full piece of a prompt and its rest; and of many streams decode steps beside rests of all lengths. */
const MAX_PROGRAMS = 64

const NO_TARGETS: ScoreTargets = { rows: [], tokens: [] }

/** A {@link DecodeEngine} with memory of its own. */
export class Decoder implements DecodeEngine {
  readonly config: ModelConfig
  /** How its caches store keys and values. */
  readonly cacheType: CacheType
  readonly maxRows: number
  readonly maxSteps: number
  readonly #backend: Backend
  readonly #weights: DecoderWeights
  readonly #matmulPrecision: MatmulPrecision
  readonly #watch: FfnWatch | undefined
  readonly #owner: BufferOwner
  readonly #rotations: Rotations
  /** For layers with a window. */
  readonly #localRotations: Rotations | undefined
  readonly #cacheBytes: CacheBytes
  #cache: DecoderCache | undefined
  readonly #programs = new ProgramCache(MAX_PROGRAMS)
  /** Draws behind each of several steps. */
  readonly #drawPrograms = new ProgramCache(4 * MAX_STEPS)
  readonly #sampler: TokenSampler
  readonly #look: HeadLook
  readonly #parts: PromptParts | undefined
  #ahead: StepsAhead | undefined
  #activations: Activations
  /** Rows that the logits buffer has room for. */
  #logitRoom = 1
  /** Tokens that can be scored after a pass. */
  #targetRoom = 1
  #isRunning = false

  /** @throws UsageError if an option is out of its range */
  constructor(
    backend: Backend,
    config: ModelConfig,
    weights: DecoderWeights,
    options: DecoderOptions = {},
  ) {
    this.config = config
    this.maxRows = options.maxRows ?? passRows(config, backend)
    checkCounting('maxRows', this.maxRows)
    this.maxSteps = Math.min(options.maxSteps ?? backend.steps ?? 1, MAX_STEPS, this.maxRows)
    this.cacheType = options.cacheType ?? 'f16'
    const { cacheMemory: most, machineMemory } = options
    this.#cacheBytes = { most, machineMemory }
    this.#matmulPrecision = options.matmulPrecision ?? 'high'
    this.#watch = options.watch
    this.#backend = backend
    this.#weights = weights
    this.#owner = new BufferOwner(backend)
    this.#sampler = new TokenSampler(this.#owner, config.vocabSize)
    this.#look = new HeadLook(this.#owner, weights.head, this.#matmulPrecision)
    const { description, longestMs } = backend
    const { dim, ffnDim, nLayers: layers, maxRows } = { ...config, maxRows: this.maxRows }
    const name = `${description}, ${layers} layers of ${dim} and ${ffnDim}`
    this.#parts = longestMs ? new PromptParts({ name, layers, maxRows, longestMs }) : undefined
    const { headDim, ropeTheta, ropeScaling } = config
    this.#rotations = growingRotations(this.#owner, headDim, ropeTheta, ropeScaling)
    const local = config.localAttention
    this.#localRotations = local && growingRotations(this.#owner, headDim, local.ropeTheta)
    try {
      this.#activations = allocateActivations(this.#owner, config, this.maxRows, this.#logitRoom)
    } catch (error) {
      this.#owner.dispose()
      throw error
    }
  }

  /** Bytes that one position of one sequence takes in a cache. */
  get cacheBytesPerToken(): number {
    return cacheBytesPerToken(this.config, this.cacheType)
  }

  /** Bytes of activations and tables, without caches. */
  get activationBytes(): number {
    return this.#owner.byteLength
  }

  get cache(): DecoderCache {
    this.#cache ??= DecoderCache.open(this.#cacheFacts, this.#cacheBytes)
    return this.#cache
  }

  get #cacheFacts(): CacheFacts {
    return {
      backend: this.#backend,
      config: this.config,
      type: this.cacheType,
      maxRows: this.maxRows,
      rotations: this.#rotations,
      localRotations: this.#localRotations,
      onChange: () => this.#clear(),
    }
  }

  forward(batch: RowBatch): Promise<Float32Array> {
    const count = batch.logitRows.length * this.config.vocabSize
    return this.#run(batch, NO_TARGETS, () => this.#readFloats(this.#activations.logits, count))
  }

  vectors(batch: RowBatch): Promise<Float32Array> {
    const count = batch.logitRows.length * this.config.dim
    const read = () => this.#readFloats(this.#activations.normed, count)
    return this.#run(batch, NO_TARGETS, read, false)
  }

  async score(batch: RowBatch, targets: ScoreTargets): Promise<TokenScores> {
    this.#checkScoring()
    return this.#run(batch, targets, () => this.#readScores(targets.tokens.length))
  }

  async step(batch: Omit<RowBatch, 'logitRows'>, wants: PassWants): Promise<PassResults> {
    const { draws, scores, vectors } = wants
    if (scores.tokens.length > 0) this.#checkScoring()
    checkDraws(batch, wants, this.maxSteps)
    const { rows, each, likeliest, steps = 1 } = draws
    const { dim } = this.config
    const scored = rows.length + scores.rows.length
    const targets = { rows: scores.targets.map((i) => rows.length + i), tokens: scores.tokens }
    const whole = { ...batch, logitRows: [...rows, ...scores.rows, ...vectors] }
    const isPlain = likeliest === undefined && scores.rows.length === 0 && steps === 1
    const isLooked = isPlain && this.#look.suits(each)
    const shape = this.#sampler.shapeOf(each, likeliest, steps, isLooked)
    const drawn = rows.length > 0 ? { each, shape, goesOn: draws.goesOn === true } : undefined
    const read = async (ahead?: StepsAhead): Promise<PassResults> => {
      const tokens =
        drawn !== undefined && shape.steps > 1
          ? await this.#readSteps(whole, drawn, ahead)
          : await this.#sampler.read(shape)
      const { normed } = this.#activations
      return {
        tokens,
        scores: await this.#readScores(targets.tokens.length),
        vectors: await this.#readFloats(normed, vectors.length * dim, scored * dim),
      }
    }
    return this.#run(whole, targets, read, scored > 0 && !isLooked, drawn)
  }

  /** Reads what several steps drew, with those behind them on their way where it is likely that these come next. */
  async #readSteps(
    batch: RowBatch,
    draws: WantedDraws,
    ahead: StepsAhead | undefined,
  ): Promise<DrawnTokens> {
    const { cache } = this
    const { each, shape, goesOn } = draws
    const { steps } = shape
    const drawing = ahead?.drawn ?? this.#sampler.read(shape)
    const next = withSteps(behind(batch, steps), steps)
    // What a window has left behind is gone, should they not come.
    const isLikely = goesOn && (ahead?.steps ?? steps) === steps && !this.config.localAttention
    if (isLikely && (await cache.readyWithin(next))) {
      const programs = await this.#programsOf(this.#passShape(batch, true, 0, draws), shape)
      for (const program of programs) this.#backend.submit(program)
      const drawn = this.#sampler.read(shape)
      drawn.catch(() => undefined) // told to whoever asks, if anybody does
      this.#ahead = { batch, each, steps, drawn }
    }
    const ids = (await drawing).ids.slice(0, steps * batch.tokens.length)
    cache.advance(withSteps(batch, steps, ids))
    if (this.#ahead) this.#ahead = { ...this.#ahead, batch: behind(batch, steps, ids) }
    return { ids }
  }

  #checkScoring(): void {
    if (this.#weights.head.type !== 'int4') return
    throw new UsageError(
      'Expected a head whose logits are all exact to score tokens with, got int4, which computes only ' +
        'the largest exactly. Load the model with an f16 or int8 head.',
    )
  }

  async #run<T>(
    batch: RowBatch,
    targets: ScoreTargets,
    read: (ahead?: StepsAhead) => Promise<T>,
    head = true,
    draws?: WantedDraws,
  ): Promise<T> {
    if (this.#isRunning) throw new Error('A pass was started while another one was running.')
    const { cache } = this
    checkBatch(batch, this.maxRows, this.config.vocabSize)
    checkTargets(batch, targets, this.config.vocabSize)
    const steps = draws?.shape.steps ?? 1
    const whole = withSteps(batch, steps)
    cache.check(whole)
    this.#isRunning = true
    const ahead = this.#ahead
    this.#ahead = undefined
    try {
      if (ahead && draws && isAhead(ahead, { batch, each: draws.each, steps })) {
        return await read(ahead)
      }
      this.#makeRoom(head ? batch.logitRows.length : 0, targets.tokens.length)
      await cache.ready(whole)
      if (draws && this.#sampler.makeRoom(draws.shape)) this.#clear()
      const rest = await this.#runAhead(batch)
      const shape = this.#passShape(rest, head, targets.tokens.length, draws)
      const programs = await this.#programsOf(shape, draws?.shape)
      this.#writeBatch(rest, targets)
      if (draws) this.#sampler.write(draws.each, draws.shape)
      const began = performance.now()
      for (const program of programs) this.#backend.submit(program)
      if (steps === 1) cache.advance(batch)
      const results = await read()
      // The head of many rows is nothing that parts without it would take.
      if (8 * shape.logitRows <= shape.rows)
        this.#parts?.took(shape.rows, performance.now() - began)
      return results
    } finally {
      this.#isRunning = false
    }
  }

  /** Runs what goes ahead of a long pass, part by part. @returns what is left of it */
  async #runAhead(batch: RowBatch): Promise<RowBatch> {
    const rows = this.#parts?.ahead(batch) ?? 0
    if (rows === 0) return batch
    const [part, rest] = cutBatch(batch, rows)
    const programs = await this.#programsOf(this.#passShape(part, false, 0), undefined)
    this.#writeBatch(part, NO_TARGETS)
    const began = performance.now()
    for (const program of programs) this.#backend.submit(program)
    await this.#backend.done()
    this.#parts?.took(rows, performance.now() - began)
    return this.#runAhead(rest)
  }

  #passShape(batch: RowBatch, head: boolean, targets: number, draws?: WantedDraws): PassShape {
    const rows = batch.tokens.length
    const logitRows = batch.logitRows.length
    return { rows, logitRows, head, targets, draws: draws ? wordsOf(draws.shape) : '' }
  }

  /** What is submitted for a pass; or for several in turn, each with its draws. */
  async #programsOf(shape: PassShape, draws: DrawShape | undefined): Promise<Program[]> {
    const { logits, logitRows: index, normed: x } = this.#activations
    const { step, history, capacity } = this.cache.buffers
    const inputs = { logits, step, index, history, capacity }
    if (draws === undefined || draws.steps === 1) {
      const record = async () => {
        const head = draws?.isLooked ? { ...(await this.#look.get()), x } : undefined
        const drawing = draws ? this.#sampler.commands(draws, { ...inputs, head }) : []
        return this.#record(shape, drawing)
      }
      return [await this.#programs.get(shape, record)]
    }
    const alone = { ...shape, draws: '' }
    const pass = await this.#programs.get(alone, () => this.#record(alone, []))
    const programs: Program[] = []
    for (let at = 0; at < draws.steps; at++) {
      const own = { ...shape, draws: wordsOf({ ...draws, steps: at }) }
      const record = () => this.#backend.record(this.#sampler.stepCommands(draws, inputs, at))
      programs.push(pass, await this.#drawPrograms.get(own, record))
    }
    return programs
  }

  async #record(shape: PassShape, drawing: Command[]): Promise<Program> {
    const { layers, ...buffers } = this.cache.buffers
    await this.#backend.ready()
    const commands = forward({
      config: this.config,
      weights: this.#weights,
      activations: this.#activations,
      ...buffers,
      cache: layers,
      matmulPrecision: this.#matmulPrecision,
      watch: this.#watch,
      ...shape,
    })
    return this.#backend.record([...commands, ...drawing])
  }

  /** Forgets all recordings. */
  #clear(): void {
    this.#programs.clear()
    this.#drawPrograms.clear()
    this.#ahead = undefined
  }

  /** Frees activations and recordings; weights and backend are the caller's. */
  dispose(): void {
    this.#clear()
    this.#cache?.dispose()
    this.#owner.dispose()
  }

  #writeBatch(batch: RowBatch, targets: ScoreTargets): void {
    const { step, wantedStep } = this.cache.buffers
    this.#backend.write(step, 0, bytesOf(stepEntries(batch)))
    const indices = Int32Array.from(batch.logitRows)
    if (indices.length > 0) this.#backend.write(this.#activations.logitRows, 0, bytesOf(indices))
    // Where all are wanted, as in every step of a text, nothing asks for them once more.
    if (indices.length > 0 && indices.length < batch.tokens.length) {
      this.#backend.write(wantedStep, 0, bytesOf(stepEntries(batch, indices)))
    }
    const pairs = targetPairs(targets)
    if (pairs.length > 0) this.#backend.write(this.#activations.pairs, 0, bytesOf(pairs))
  }

  /**
   * All logits of a long prompt are large (66 MB for 128 rows of BitNet 2B-4T) and seldom wanted, so
   * the buffer grows with what is asked for; of one row many tokens may be scored, so that room grows by
   * itself. Recordings hold the old buffers and must go.
   */
  #makeRoom(logitRows: number, targets: number): void {
    const hasLogits = logitRows <= this.#logitRoom
    if (hasLogits && targets <= this.#targetRoom) return
    this.#clear()
    if (!hasLogits) {
      const size = { ...this.config, maxRows: this.maxRows }
      this.#logitRoom = grownLogitRows(logitRows, this.#logitRoom, size, this.#backend)
      const byteLength = this.#logitRoom * this.config.vocabSize * 4
      const logits = this.#owner.allocate(byteLength, 'logits')
      this.#owner.free(this.#activations.logits)
      this.#activations = { ...this.#activations, logits }
    }
    if (targets > this.#targetRoom) this.#targetRoom = Math.max(targets, 2 * this.#targetRoom)
    // Pairs are of rows of the logits: more of these, and they need another limit.
    this.#owner.free(this.#activations.pairs)
    this.#owner.free(this.#activations.scores)
    const { vocabSize } = this.config
    const room = targetBuffers(this.#owner, this.#logitRoom, vocabSize, this.#targetRoom)
    this.#activations = { ...this.#activations, ...room }
  }

  async #readScores(count: number): Promise<TokenScores> {
    return scoresIn(await this.#readFloats(this.#activations.scores, count * SCORE_FLOATS))
  }

  /** @param from floats of the buffer before those that are read */
  async #readFloats(buffer: DeviceBuffer, count: number, from = 0): Promise<Float32Array> {
    const backend = this.#backend
    if (count === 0 || backend.map) await backend.done()
    if (count === 0) return new Float32Array(0)
    const slice = sliceOf(buffer, from * 4, count * 4)
    const bytes = backend.map?.(slice) ?? (await backend.read(slice))
    return new Float32Array(bytes.buffer, bytes.byteOffset, count)
  }
}
