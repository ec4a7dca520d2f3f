/**
 * What all generations of a loaded model share: the engine and the right to run it, memory that is
 * used again, and the list of those that run, so that disposing of the model can end them.
 */
import { UsageError } from '../../errors.ts'
import type { DecodeEngine, KvCache } from '../../model/engine.ts'
import { padToTile } from '../../ternary/index.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { type GenerationScope, GenerationStream } from '../generation-stream.ts'
import type { ModelMemory } from '../language-model.ts'
import type { BackendReport, GenerateOptions, GenerateResult } from '../options.ts'
import { SamplerWorkspace } from '../sample/sampler.ts'
import type { SamplingSettings } from '../validate-options.ts'
import { PassLock } from './pass-lock.ts'
import { Sequence, type SequenceFacts } from './sequence.ts'

interface RuntimeFacts {
  readonly engine: DecodeEngine
  readonly tokenizer: TextTokenizer
  readonly backend: BackendReport
  readonly loadMs: number
  readonly defaults: SamplingSettings
  readonly memory: ModelMemory
}

/** The runtimes of models, for a model that another one uses as its draft. */
const runtimes = new WeakMap<object, Runtime>()

export class Runtime {
  readonly engine: DecodeEngine
  readonly tokenizer: TextTokenizer
  readonly defaults: SamplingSettings
  readonly lock = new PassLock()
  /** What a decode step reads. */
  readonly weightBytes: number
  readonly #backend: BackendReport
  readonly #loadMs: number
  readonly #workspace = new SamplerWorkspace()
  readonly #running = new Set<{ cancel(): void; readonly settled: Promise<unknown> }>()
  readonly #owned = new Set<{ dispose(): void }>()
  /** The cache of the last single generation, for the next one that fits into it. */
  #idleCache: KvCache | undefined
  #disposed = false

  constructor(facts: RuntimeFacts) {
    this.engine = facts.engine
    this.tokenizer = facts.tokenizer
    this.defaults = facts.defaults
    this.weightBytes = facts.memory.ternaryBytes + facts.memory.denseBytes
    this.#backend = facts.backend
    this.#loadMs = facts.loadMs
  }

  /** The runtime of a model that {@link serve} was called with. */
  static of(model: object): Runtime | undefined {
    return runtimes.get(model)
  }

  serve(model: object): void {
    runtimes.set(model, this)
  }

  get isDisposed(): boolean {
    return this.#disposed
  }

  /** Starts a generation that {@link dispose} ends. */
  start(
    options: GenerateOptions,
    work: (scope: GenerationScope) => Promise<GenerateResult>,
  ): GenerationStream {
    const stream = new GenerationStream(options, async (scope) => {
      this.assertUsable()
      return work(scope)
    })
    void this.track(stream.result, () => stream.cancel()).catch(() => undefined)
    return stream
  }

  /** Makes {@link dispose} cancel and await `work`. */
  async track<T>(work: Promise<T>, cancel: () => void): Promise<T> {
    const entry = { cancel, settled: work.catch(() => undefined) }
    this.#running.add(entry)
    try {
      return await work
    } finally {
      this.#running.delete(entry)
    }
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
    return sequence.result(this.#backend, this.#loadMs)
  }

  /** Lends a cache of one slot with at least `positions` positions. */
  async withCache<T>(positions: number, work: (cache: KvCache) => Promise<T>): Promise<T> {
    const cache = this.#takeCache(positions)
    try {
      return await work(cache)
    } finally {
      this.#giveCacheBack(cache)
    }
  }

  #takeCache(positions: number): KvCache {
    const idle = this.#idleCache
    this.#idleCache = undefined
    if (idle !== undefined && idle.capacity >= positions) return idle
    idle?.dispose()
    return this.engine.createCache({ slots: 1, capacity: padToTile(positions) })
  }

  /** Of generations side by side each has its own cache; the largest is kept for the next one. */
  #giveCacheBack(cache: KvCache): void {
    const idle = this.#idleCache
    if (idle !== undefined && idle.capacity >= cache.capacity) {
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
    for (const entry of running) entry.cancel()
    await Promise.all(running.map((entry) => entry.settled))
    for (const resource of [...this.#owned]) resource.dispose()
    this.#idleCache?.dispose()
    this.#idleCache = undefined
  }
}
