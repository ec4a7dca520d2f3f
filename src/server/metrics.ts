/**
 * What a server does, as Prometheus reads it. Names of models and keys are the server's own, so that no client
 * can make new series.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { LanguageModel } from '../generate/language-model.ts'
import type { GenerateResult } from '../generate/options.ts'

/** Seconds; from a token of a small model to a long prompt on a slow machine. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

export interface ServerState {
  readonly active: number
  readonly waiting: number
  readonly loadedModels: number
  /** Those of them that answer, by their names. */
  readonly models: ReadonlyMap<string, Pick<LanguageModel, 'stats' | 'memory'>>
  /** Without a result yet, of all workers together, as of a second ago. */
  readonly batchLines: number
}

type ModelState = ReturnType<LanguageModel['stats']> & Pick<LanguageModel, 'memory'>

/** What is asked of each model when the figures are; by what it is a figure of, where there are several. */
const OF_MODELS: readonly {
  readonly name: string
  readonly help: string
  of(state: ModelState): Readonly<Record<string, number>>
}[] = [
  {
    name: 'bitnet_batch_size',
    help: 'Tokens in a pass over the weights, mean of late.',
    of: ({ rowsPerPass }) => ({ '': rowsPerPass }),
  },
  {
    name: 'bitnet_passes_total',
    help: 'Passes over the weights.',
    of: ({ passes }) => ({ '': passes }),
  },
  {
    name: 'bitnet_sequences',
    help: 'Texts that wait for memory, that are worked on, and of these that wait for their reader.',
    of: ({ waiting, running, paused }) => ({ waiting, running, paused }),
  },
  {
    name: 'bitnet_cache_blocks',
    help: 'Blocks of the cache of keys and values: in use, kept for whoever begins alike, and free.',
    of: ({ cache: { blocks, free, kept } }) => ({ used: blocks - free - kept, kept, free }),
  },
  {
    name: 'bitnet_cache_lookups_total',
    help: 'Texts that found their beginning in the cache, and that did not.',
    of: ({ cache: { opened, hits } }) => ({ hit: hits, miss: opened - hits }),
  },
  {
    name: 'bitnet_weight_bytes',
    help: 'Memory of the weights and of what passes compute.',
    of: ({ memory: { ternaryBytes, denseBytes, activationBytes } }) => ({
      '': ternaryBytes + denseBytes + activationBytes,
    }),
  },
]

export class Metrics {
  readonly #registry = new Registry()
  readonly #requests = new Counter({
    name: 'bitnet_requests_total',
    help: 'Requests by route and status.',
    labelNames: ['route', 'status'],
    registers: [this.#registry],
  })
  readonly #seconds = new Histogram({
    name: 'bitnet_request_seconds',
    help: 'From a request to the end of its answer.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers: [this.#registry],
  })
  readonly #firstToken = new Histogram({
    name: 'bitnet_time_to_first_token_seconds',
    help: 'From a request to the first text of its answer, waiting included.',
    labelNames: ['model'],
    buckets: SECONDS,
    registers: [this.#registry],
  })
  readonly #betweenTokens = new Histogram({
    name: 'bitnet_inter_token_seconds',
    help: 'Mean time between the tokens of an answer.',
    labelNames: ['model'],
    buckets: SECONDS,
    registers: [this.#registry],
  })
  readonly #tokens = new Counter({
    name: 'bitnet_tokens_total',
    help: 'Tokens of prompts, those of them that were cached, and of answers.',
    labelNames: ['model', 'kind'],
    registers: [this.#registry],
  })

  /** @param state looked at when the figures are asked for */
  constructor(state: () => ServerState) {
    const registers = [this.#registry]
    const gauges: readonly (readonly [string, string, keyof Omit<ServerState, 'models'>])[] = [
      ['bitnet_active_requests', 'Requests that are worked on.', 'active'],
      ['bitnet_waiting_requests', 'Requests that wait for their turn.', 'waiting'],
      ['bitnet_loaded_models', 'Models in memory.', 'loadedModels'],
      ['bitnet_batch_lines', 'Lines of batches that have no result yet.', 'batchLines'],
    ]
    for (const [name, help, field] of gauges) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(state()[field])
        },
      })
    }
    for (const { name, help, of } of OF_MODELS) {
      const labelNames = ['model', 'state']
      const collect = (figure: Counter | Gauge): void => {
        figure.reset()
        for (const [model, facts] of state().models) {
          const values = of({ ...facts.stats(), memory: facts.memory })
          for (const [kind, value] of Object.entries(values)) {
            figure.inc(kind === '' ? { model } : { model, state: kind }, value)
          }
        }
      }
      const settings = { name, help, labelNames, registers }
      if (name.endsWith('_total')) {
        new Counter({
          ...settings,
          collect() {
            collect(this)
          },
        })
      } else {
        new Gauge({
          ...settings,
          collect() {
            collect(this)
          },
        })
      }
    }
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Memory of the process.',
      registers,
      collect() {
        this.set(residentBytes())
      },
    })
  }

  request(route: string, status: number, seconds: number): void {
    this.#requests.inc({ route, status })
    this.#seconds.observe({ route }, seconds)
  }

  firstToken(model: string, seconds: number): void {
    this.#firstToken.observe({ model }, seconds)
  }

  answer(model: string, { usage, timings }: GenerateResult): void {
    this.#tokens.inc({ model, kind: 'prompt' }, usage.promptTokens)
    this.#tokens.inc({ model, kind: 'cached' }, usage.cachedTokens)
    this.#tokens.inc({ model, kind: 'answer' }, usage.completionTokens)
    if (usage.completionTokens > 1) {
      this.#betweenTokens.observe({ model }, timings.decodeMs / 1000 / (usage.completionTokens - 1))
    }
  }

  async text(): Promise<{ readonly type: string; readonly body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() }
  }
}

/** @returns not a number where nobody says */
function residentBytes(): number {
  const { process } = globalThis as { process?: { memoryUsage?: { rss?(): number } } }
  return process?.memoryUsage?.rss?.() ?? Number.NaN
}
