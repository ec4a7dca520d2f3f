/**
 * What all generations of a loaded model share: the engine and the right to run it, memory that is
 * used again, and the list of those that run, so that disposing of the model can end them.
 */
import { UsageError } from '../../errors.ts'
import type { DecodeEngine, KvCache } from '../../model/engine.ts'
import { padToTile } from '../../ternary/index.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { GenerationStream, type GenerationWork } from '../generation-stream.ts'
import type { ModelFacts } from '../language-model.ts'
import type { GenerateOptions, GenerateResult } from '../options.ts'
import { SamplerWorkspace } from '../sample/token-filters.ts'
import { PassLock } from './pass-lock.ts'
import { Sequence, type SequenceFacts } from './sequence.ts'

/** The runtimes of models, for a model that another one uses as its draft. */
const runtimes = new WeakMap<object, Runtime>()

/** Idle chats that keep their caches; each may hold as much memory as a whole context. */
const MAX_IDLE_CHATS = 4

/** Chats that nobody disposed of hold no memory that others need: the longest idle one gives way. */
class IdleChats {
  readonly #chats = new Set<{ releaseCache(): void }>()

  add(chat: { releaseCache(): void }): void {
    this.#chats.add(chat)
    for (const oldest of this.#chats) {
      if (this.#chats.size <= MAX_IDLE_CHATS) return
      this.#chats.delete(oldest)
      oldest.releaseCache()
    }
  }

  delete(chat: { releaseCache(): void }): void {
    this.#chats.delete(chat)
  }
}

export class Runtime {
  readonly engine: DecodeEngine
  readonly facts: ModelFacts
  readonly lock = new PassLock()
  readonly #workspace = new SamplerWorkspace()
  readonly #running = new Set<{ abort(): void; readonly settled: Promise<unknown> }>()
  readonly #owned = new Set<{ dispose(): void }>()
  /** Chats that run no turn and hold a cache. */
  readonly idleChats = new IdleChats()
  /** The cache of the last single generation, for the next one that fits into it. */
  #idleCache: KvCache | undefined
  #disposed = false

  constructor(engine: DecodeEngine, facts: ModelFacts) {
    this.engine = engine
    this.facts = facts
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

  get isDisposed(): boolean {
    return this.#disposed
  }

  /** Starts a generation that {@link dispose} ends. */
  start(options: GenerateOptions, work: GenerationWork): GenerationStream {
    return new GenerationStream(options, async (scope) => {
      this.assertUsable()
      return this.run(scope.signal, (signal) => work({ ...scope, signal }))
    })
  }

  /**
   * Runs `work` with a signal that the caller's aborts, and {@link dispose}, which then waits for it.
   *
   * @param caller unset: nothing else aborts
   */
  async run<T>(
    caller: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController()
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
    }
  }

  /**
   * Runs a pass alone, in turn with whatever else the model does.
   *
   * @throws the signal's reason once it is aborted
   */
  async exclusively(signal: AbortSignal, pass: () => Promise<void>): Promise<void> {
    if (!(await this.lock.run(signal, pass))) signal.throwIfAborted()
  }

  /** Makes {@link dispose} dispose of `resource` too; returns what takes it off the list. */
  own(resource: { dispose(): void }): () => void {
    this.#owned.add(resource)
    return () => this.#owned.delete(resource)
  }

  newSequence(facts: Omit<SequenceFacts, 'tokenizer' | 'workspace'>): Sequence {
    return new Sequence({ ...facts, tokenizer: this.tokenizer, workspace: this.#workspace })
  }

  resultOf(sequence: Sequence): GenerateResult {
    return sequence.result(this.facts.backend, this.facts.loadMs)
  }

  /** Lends a cache with at least `positions` positions a slot. */
  async withCache<T>(
    slots: number,
    positions: number,
    work: (cache: KvCache) => Promise<T>,
  ): Promise<T> {
    const cache = this.#takeCache(slots, positions)
    try {
      return await work(cache)
    } finally {
      this.#giveCacheBack(cache)
    }
  }

  #takeCache(slots: number, positions: number): KvCache {
    const capacity = padToTile(positions)
    if (slots > 1) return this.engine.createCache({ slots, capacity })
    const idle = this.#idleCache
    this.#idleCache = undefined
    if (idle !== undefined && idle.capacity >= positions) return idle
    idle?.dispose()
    return this.engine.createCache({ slots, capacity })
  }

  /** Of generations side by side each has its own cache; the largest is kept for the next one. */
  #giveCacheBack(cache: KvCache): void {
    const idle = this.#idleCache
    if (cache.slots > 1 || (idle !== undefined && idle.capacity >= cache.capacity)) {
      cache.dispose()
      return
    }
    idle?.dispose()
    this.#idleCache = cache
  }

  /** @throws UsageError after {@link dispose} */
  assertUsable(): void {
    if (this.#disposed) {
      throw new UsageError('Expected a loaded model, got one that was disposed. Load it again.')
    }
  }

  /** Cancels what runs, waits for it, and frees all caches. */
  async dispose(): Promise<void> {
    this.#disposed = true
    const running = [...this.#running]
    for (const entry of running) entry.abort()
    await Promise.all(running.map((entry) => entry.settled))
    for (const resource of [...this.#owned]) resource.dispose()
    this.#idleCache?.dispose()
    this.#idleCache = undefined
  }
}
