/**
 * Who takes part in a comparison: a name, what it weighs and computes, and a way to bring it into memory.
 */
import type { Backend } from '../backends/backend.ts'
import type { ModelCosts } from '../bench/costs.ts'
import type { OpenSettings } from '../generate/load/load-options.ts'
import { ATTENTION_CHUNK } from '../kernels/attention/layout.ts'
import { blocksOf } from '../model/cache/block-group.ts'
import { Decoder } from '../model/decoder.ts'
import { randomWeights } from '../model/weights/random-weights.ts'
import type { Column, MemoryShares } from './columns.ts'

export interface Contender {
  readonly name: string
  readonly memory: MemoryShares
  readonly costs: ModelCosts
  open(options: OpenOptions): Promise<RunningContender>
}

export interface OpenOptions {
  readonly onStep?: ((what: string) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Weights in memory, and what runs on them. */
export interface RunningContender {
  readonly backend: Backend
  readonly decoder: Decoder
  dispose(): void
}

/** Sequences that a comparison decodes side by side, at most: passes have no more rows. */
const MOST_SEQUENCES = 128

/** A column, with random weights that are made anew each time it is opened. */
export function columnContender(
  backend: Backend,
  column: Column,
  settings: OpenSettings = {},
): Contender {
  const { name, memory, costs, config, kv } = column
  const blockBytes = memory.cacheBytesPerToken * ATTENTION_CHUNK
  return {
    name,
    memory,
    costs,
    async open({ onStep, signal }) {
      const weights = await randomWeights(backend, config, {
        ...column,
        onLayer: (done, all) => onStep?.(`${config.name}: made ${done} of ${all} layers`),
        signal,
      })
      try {
        const { matmulPrecision } = settings
        const decoder = new Decoder(backend, config, weights, {
          matmulPrecision,
          cacheType: kv,
          cacheMemory: MOST_SEQUENCES * blocksOf(config.contextLength) * blockBytes,
        })
        const dispose = () => {
          decoder.dispose()
          weights.dispose()
        }
        return { backend, decoder, dispose }
      } catch (error) {
        weights.dispose()
        throw error
      }
    },
  }
}
