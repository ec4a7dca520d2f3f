/**
 * What all generations of a loaded model share: the engine and the right to run it, memory that is
 * used again, and the list of those that run, so that disposing of the model can end them.
 */
import { UsageError } from '../../errors.ts'
import type { DecodeEngine } from '../../model/engine.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { GenerationStream, type GenerationWork } from '../generation-stream.ts'
import type { ModelFacts } from '../language-model.ts'
import type { GenerateOptions, GenerateResult } from '../options.ts'
import { answerValue } from '../schema/answer-schema.ts'
import { GrammarShelf } from '../schema/grammar-shelf.ts'
import { dropOldestHalf } from './context-shift.ts'
import { Scheduler } from './scheduler.ts'
import { Sequence, type SequenceFacts } from './sequence.ts'

/** The runtimes of models, for a model that another one uses as its draft. */
const runtimes = new WeakMap<object, Runtime>()

/** The longest time that timers know. */
const LONGEST_MS = 2 ** 31 - 1

export class Runtime {
  readonly engine: DecodeEngine
  readonly facts: ModelFacts
  readonly #running = new Set<{ abort(): void; readonly settled: Promise<unknown> }>()
  readonly #owned = new Set<{ dispose(): void }>()
  readonly scheduler: Scheduler
  readonly #grammars: GrammarShelf
  #disposed = false

  constructor(engine: DecodeEngine, facts: ModelFacts) {
    this.engine = engine
    this.facts = facts
    this.scheduler = new Scheduler(engine)
    this.#grammars = new GrammarShelf(facts.tokenizer, engine.config.vocabSize)
  }

  /** The runtime of a model that {@link serve} was called with. */
  static of(model: object): Runtime | undefined {
    return runtimes.get(model)
  }

  serve(model: object): void {
    runtimes.set(model, this)
  }

  get tokenizer(): TextTokenizer {
    return this.facts.tokenizer
  }

  /** Positions that a sequence may have: the model's, or fewer where memory for caches is less. */
  get contextLength(): number {
    return Math.min(this.engine.config.contextLength, this.engine.cache.capacity)
  }

  get isDisposed(): boolean {
    return this.#disposed
  }

  /** Starts a generation that {@link dispose} ends. */
  start(options: GenerateOptions, work: GenerationWork): GenerationStream {
    const generate: GenerationWork = async (scope) => {
      this.assertUsable()
      return this.run(scope.signal, (signal) => work({ ...scope, signal }), options.deadline)
    }
    return new GenerationStream(options, generate, () => this.scheduler.wake())
  }

  /**
   * Runs `work` with a signal that the caller's aborts, and {@link dispose}, which then waits for it.
   *
   * @param caller unset: nothing else aborts
   * @param deadline milliseconds after which it aborts in any case
   */
  async run<T>(
    caller: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
    deadline?: number,
  ): Promise<T> {
    const controller = new AbortController()
    const timer = deadline && setTimeout(() => controller.abort(), Math.min(deadline, LONGEST_MS))
    const abort = () => controller.abort(caller?.reason)
    if (caller?.aborted) abort()
    caller?.addEventListener('abort', abort, { once: true })
    const working = work(controller.signal)
    const entry = { abort, settled: working.catch(() => undefined) }
    this.#running.add(entry)
    try {
      return await working
    } finally {
      this.#running.delete(entry)
      caller?.removeEventListener('abort', abort)
      clearTimeout(timer)
    }
  }

  /** Makes {@link dispose} dispose of `resource` too; returns what takes it off the list. */
  own(resource: { dispose(): void }): () => void {
    this.#owned.add(resource)
    return () => this.#owned.delete(resource)
  }

  /** Unless told otherwise, one that goes on where the context is full drops the older half of its answer. */
  newSequence(
    facts: Omit<SequenceFacts, 'tokenizer' | 'maxGuesses' | 'wake' | 'grammar'>,
  ): Sequence {
    for (const id of [...facts.options.stopTokens, ...facts.options.logitBias.map(([id]) => id)]) {
      checkToken(id, this.engine.config.vocabSize)
    }
    const { schema, orText, contextShift } = facts.options
    return new Sequence({
      shift: contextShift ? dropOldestHalf : undefined,
      ...facts,
      grammar: schema && this.#grammars.grammarOf(schema, { orText }),
      tokenizer: this.tokenizer,
      maxGuesses: this.engine.maxRows - 1,
      wake: () => this.scheduler.wake(),
    })
  }

  /**
   * Runs sequences to their end, beside whatever else the model does; those that have not ended when the
   * signal aborts are cancelled.
   *
   * @param limit most that run side by side
   * @throws whatever a pass or a sampler throws
   */
  async generate(
    sequences: readonly Sequence[],
    { priority, deadline, client }: GenerateOptions,
    signal: AbortSignal,
    limit?: number,
  ): Promise<readonly GenerateResult[]> {
    const dueAt = deadline && performance.now() + deadline
    try {
      await this.scheduler.run(sequences, { signal, priority, deadline: dueAt, client, limit })
    } catch (error) {
      for (const sequence of sequences) sequence.giveUp()
      throw error
    } finally {
      // Others may have waited for what these compute.
      this.scheduler.wake()
    }
    const { backend, loadMs } = this.facts
    const ended = sequences.map(async (sequence) => {
      sequence.finish('cancelled')
      const result = sequence.result(backend, loadMs)
      const { schema } = sequence
      if (schema === undefined || !sequence.isWholeAnswer) return result
      return { ...result, ...(await answerValue(schema, result.text)) }
    })
    return Promise.all(ended)
  }

  /** @throws UsageError after {@link dispose} */
  assertUsable(): void {
    if (this.#disposed) {
      throw new UsageError('Expected a loaded model, got one that was disposed. Load it again.')
    }
  }

  /** Cancels what runs, and waits for it. */
  async dispose(): Promise<void> {
    this.#disposed = true
    const running = [...this.#running]
    for (const entry of running) entry.abort()
    await Promise.all(running.map((entry) => entry.settled))
    for (const resource of [...this.#owned]) resource.dispose()
  }
}

/** @throws UsageError */
function checkToken(id: number, vocabSize: number): void {
  if (id < vocabSize) return
  throw new UsageError(`Expected token ids from 0 to ${vocabSize - 1}, got ${id}.`)
}
