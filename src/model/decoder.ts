/**
 * The decoder on a backend: checks a batch, writes it into the step buffer, replays the recorded pass
 * and waits for the logits alone. What a pass computes is in forward.ts.
 */

import type { Backend, Program } from '../backends/backend.ts'
import { checkCounting } from '../checks.ts'
import { UsageError } from '../errors.ts'
import { type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import { STEP, STEP_WORDS } from '../kernels/step.ts'
import type { CacheType } from '../kernels/storage.ts'
import { PAIR_WORDS, SCORE_FLOATS } from '../kernels/token-scores/reference.ts'
import { padToTile } from '../ternary/index.ts'
import { allocateActivations, targetBuffers } from './activations.ts'
import { BufferOwner, bytesOf } from './buffer-owner.ts'
import type { Rotations } from './cache/cache-memory.ts'
import {
  type CacheBytes,
  type CacheFacts,
  cacheBytesPerToken,
  checkIndex,
  DecoderCache,
} from './cache/kv-cache.ts'
import type { ModelConfig } from './config/config.ts'
import type {
  DecodeEngine,
  PassResults,
  PassWants,
  RowBatch,
  ScoreTargets,
  TokenScores,
} from './engine.ts'
import { type Activations, type DecoderWeights, forward, type MatmulPrecision } from './forward.ts'
import { type PassShape, ProgramCache } from './program-cache.ts'
import { growingRotations } from './rotations.ts'
import type { TokenDraw } from './token-draw.ts'
import { type DrawShape, TokenSampler } from './token-sampler.ts'

/** Rows from which a pass over a prompt gains nothing more on CPUs, with activations still small. */
const DEFAULT_MAX_ROWS = 128

/** What is drawn of the first rows of logits. */
interface WantedDraws {
  readonly each: readonly TokenDraw[]
  readonly shape: DrawShape
}

const NO_TARGETS: ScoreTargets = { rows: [], tokens: [] }

export interface DecoderOptions {
  /** Most rows in one pass; unset: 128, or the context if that is less. */
  readonly maxRows?: number | undefined
  /**
   * Precision of keys and values. Unset: f16, whose rounding, which int8 activations turn into steps,
   * moves logits by up to two hundredths of the largest. f32 agrees with the published float32
   * results, dense products of the highest precision provided; int8 and int4 save memory and time in
   * long contexts.
   */
  readonly cacheType?: CacheType | undefined
  /**
   * Bytes that the cache may take. Unset: 1 GiB, or a quarter of the machine's memory where memory takes room
   * only when it is used; or what one sequence as long as the context takes, where that is more.
   */
  readonly cacheMemory?: number | undefined
  /** Bytes of the machine's memory, where that is known. */
  readonly machineMemory?: number | undefined
  /** Of dense products' inputs; unset: 'high'. */
  readonly matmulPrecision?: MatmulPrecision | undefined
}

/** A {@link DecodeEngine} with memory of its own. */
export class Decoder implements DecodeEngine {
  readonly config: ModelConfig
  /** How its caches store keys and values. */
  readonly cacheType: CacheType
  readonly maxRows: number
  readonly #backend: Backend
  readonly #weights: DecoderWeights
  readonly #matmulPrecision: MatmulPrecision
  readonly #owner: BufferOwner
  readonly #rotations: Rotations
  /** For layers with a window. */
  readonly #localRotations: Rotations | undefined
  readonly #cacheBytes: CacheBytes
  #cache: DecoderCache | undefined
  readonly #programs = new ProgramCache()
  readonly #sampler: TokenSampler
  readonly #stepEntries: Int32Array
  readonly #logitIndices: Int32Array
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
    const promptRows = backend.promptRows ?? DEFAULT_MAX_ROWS
    this.maxRows = options.maxRows ?? Math.min(promptRows, padToTile(config.contextLength))
    checkCounting('maxRows', this.maxRows)
    this.cacheType = options.cacheType ?? 'f16'
    const { cacheMemory: most, machineMemory } = options
    this.#cacheBytes = { most, machineMemory }
    this.#matmulPrecision = options.matmulPrecision ?? 'high'
    this.#backend = backend
    this.#weights = weights
    this.#owner = new BufferOwner(backend)
    this.#sampler = new TokenSampler(this.#owner, config.vocabSize)
    const { headDim, ropeTheta, ropeScaling } = config
    this.#rotations = growingRotations(this.#owner, headDim, ropeTheta, ropeScaling)
    const local = config.localAttention
    this.#localRotations = local && growingRotations(this.#owner, headDim, local.ropeTheta)
    this.#stepEntries = new Int32Array(this.maxRows * STEP_WORDS)
    this.#logitIndices = new Int32Array(this.maxRows)
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
      onChange: () => this.#programs.clear(),
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

  async step(
    batch: Omit<RowBatch, 'logitRows'>,
    { draws, scores, vectors }: PassWants,
  ): Promise<PassResults> {
    if (scores.tokens.length > 0) this.#checkScoring()
    const { rows, each, likeliest } = draws
    if (each.length !== rows.length) {
      throw new UsageError(`Expected a draw for each of ${rows.length} rows, got ${each.length}.`)
    }
    const { dim } = this.config
    const scored = rows.length + scores.rows.length
    const targets = { rows: scores.targets.map((i) => rows.length + i), tokens: scores.tokens }
    const logitRows = [...rows, ...scores.rows, ...vectors]
    const shape = this.#sampler.shapeOf(each, likeliest)
    const read = async (): Promise<PassResults> => ({
      tokens: await this.#sampler.read(shape),
      scores: await this.#readScores(targets.tokens.length),
      vectors: await this.#readFloats(this.#activations.normed, vectors.length * dim, scored * dim),
    })
    const drawn = rows.length > 0 ? { each, shape } : undefined
    return this.#run({ ...batch, logitRows }, targets, read, scored > 0, drawn)
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
    read: () => Promise<T>,
    head = true,
    draws?: WantedDraws,
  ): Promise<T> {
    if (this.#isRunning) throw new Error('A pass was started while another one was running.')
    const { cache } = this
    this.#checkBatch(batch)
    this.#checkTargets(batch, targets)
    cache.check(batch)
    this.#isRunning = true
    try {
      const rows = batch.tokens.length
      const logitRows = batch.logitRows.length
      const shape = {
        rows,
        logitRows,
        head,
        targets: targets.tokens.length,
        draws: draws ? Object.values(draws.shape).join() : '',
      }
      this.#makeRoom(head ? logitRows : 0, shape.targets)
      await cache.ready(batch)
      if (draws && this.#sampler.makeRoom(draws.shape)) this.#programs.clear()
      const found = this.#programs.find(shape)
      const program = found ?? (await this.#record(shape, draws?.shape))
      this.#writeBatch(batch)
      this.#writeTargets(targets)
      if (draws) this.#sampler.write(draws.each, draws.shape)
      this.#backend.submit(program)
      cache.advance(batch)
      return await read()
    } finally {
      this.#isRunning = false
    }
  }

  async #record(shape: PassShape, draws: DrawShape | undefined): Promise<Program> {
    const { layers, tables, step, history, capacity, rotations, localRotations } =
      this.cache.buffers
    const pass = {
      config: this.config,
      weights: this.#weights,
      activations: this.#activations,
      step,
      cache: layers,
      tables,
      history,
      capacity,
      rotations,
      localRotations,
      matmulPrecision: this.#matmulPrecision,
    }
    await this.#backend.ready()
    const commands = forward({ ...pass, ...shape })
    if (draws) {
      const { logits, logitRows: index } = this.#activations
      const inputs = { logits, step, index, history, capacity }
      commands.push(...this.#sampler.commands(draws, inputs))
    }
    const program = await this.#backend.record(commands)
    this.#programs.add(shape, program)
    return program
  }

  /** Frees activations and recordings; weights and backend are the caller's. */
  dispose(): void {
    this.#programs.clear()
    this.#cache?.dispose()
    this.#owner.dispose()
  }

  #checkBatch(batch: RowBatch): void {
    const rows = batch.tokens.length
    if (rows < 1 || rows > this.maxRows) {
      throw new UsageError(`Expected 1 to ${this.maxRows} rows in a pass, got ${rows}.`)
    }
    if (batch.slots.length !== rows || batch.positions.length !== rows) {
      throw new UsageError(
        `Expected a slot and a position for each of ${rows} tokens, got ${batch.slots.length} ` +
          `slots and ${batch.positions.length} positions.`,
      )
    }
    for (let i = 0; i < rows; i++) {
      checkIndex(batch.tokens[i], this.config.vocabSize, 'a token id')
    }
    if (batch.logitRows.length > rows) {
      throw new UsageError(
        `Expected logits of at most ${rows} rows, got ${batch.logitRows.length} wanted.`,
      )
    }
    for (let i = 0; i < batch.logitRows.length; i++) {
      checkIndex(batch.logitRows[i], rows, 'a row of the batch')
    }
  }

  #writeBatch(batch: RowBatch): void {
    const rows = batch.tokens.length
    for (let i = 0; i < rows; i++) {
      const at = i * STEP_WORDS
      this.#stepEntries[at + STEP.token] = batch.tokens[i]
      this.#stepEntries[at + STEP.slot] = batch.slots[i]
      this.#stepEntries[at + STEP.position] = batch.positions[i]
    }
    const step = bytesOf(this.#stepEntries.subarray(0, rows * STEP_WORDS))
    this.#backend.write(this.cache.buffers.step, 0, step)
    const wanted = batch.logitRows.length
    if (wanted === 0) return
    for (let i = 0; i < wanted; i++) this.#logitIndices[i] = batch.logitRows[i]
    const indices = bytesOf(this.#logitIndices.subarray(0, wanted))
    this.#backend.write(this.#activations.logitRows, 0, indices)
  }

  /**
   * All logits of a long prompt are large (66 MB for 128 rows of BitNet 2B-4T) and seldom wanted, so
   * the buffer grows with what is asked for; of one row many tokens may be scored, so that room grows by
   * itself. Recordings hold the old buffers and must go.
   */
  #makeRoom(logitRows: number, targets: number): void {
    const hasLogits = logitRows <= this.#logitRoom
    if (hasLogits && targets <= this.#targetRoom) return
    this.#programs.clear()
    if (!hasLogits) {
      this.#logitRoom = Math.min(this.maxRows, Math.max(logitRows, 2 * this.#logitRoom))
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

  #checkTargets(batch: RowBatch, { rows, tokens }: ScoreTargets): void {
    if (rows.length !== tokens.length) {
      throw new UsageError(
        `Expected a row for each of ${tokens.length} tokens to be scored, got ${rows.length}.`,
      )
    }
    for (let i = 0; i < tokens.length; i++) {
      checkIndex(rows[i], batch.logitRows.length, 'a row of logits')
      checkIndex(tokens[i], this.config.vocabSize, 'a token to be scored')
    }
  }

  #writeTargets({ rows, tokens }: ScoreTargets): void {
    if (tokens.length === 0) return
    const pairs = new Int32Array(tokens.length * PAIR_WORDS)
    for (let i = 0; i < tokens.length; i++) pairs.set([rows[i], tokens[i]], i * PAIR_WORDS)
    this.#backend.write(this.#activations.pairs, 0, bytesOf(pairs))
  }

  async #readScores(count: number): Promise<TokenScores> {
    const floats = await this.#readFloats(this.#activations.scores, count * SCORE_FLOATS)
    const scores = { logProbs: new Float64Array(count), isBest: new Uint8Array(count) }
    for (let i = 0; i < count; i++) {
      const at = i * SCORE_FLOATS
      scores.logProbs[i] = floats[at] - Math.log(floats[at + 1])
      scores.isBest[i] = floats[at + 2]
    }
    return scores
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
