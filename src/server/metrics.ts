/**
 * What a server does, as Prometheus reads it. Names of models and keys are the server's own, so that no client
 * can make new series.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { GenerateResult } from '../generate/options.ts'

/** Seconds; from a token of a small model to a long prompt on a slow machine. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

export interface ServerState {
  readonly active: number
  readonly waiting: number
  readonly loadedModels: number
  /** Without a result yet, of all workers together, as of a second ago. */
  readonly batchLines: number
}

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
    const gauges: readonly (readonly [string, string, keyof ServerState])[] = [
      ['bitnet_active_requests', 'Requests that are worked on.', 'active'],
      ['bitnet_waiting_requests', 'Requests that wait for their turn.', 'waiting'],
      ['bitnet_loaded_models', 'Models in memory.', 'loadedModels'],
      ['bitnet_batch_lines', 'Lines of batches that have no result yet.', 'batchLines'],
    ]
    for (const [name, help, field] of gauges) {
      const registers = [this.#registry]
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(state()[field])
        },
      })
    }
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
