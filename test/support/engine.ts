/**
 * Opens a model file on a backend, for tests that drive the engine itself, below text and sampling.
 */
import type { Backend } from '../../src/backends/backend.ts'
import type { ModelConfig } from '../../src/model/config/config.ts'
import { readConfig } from '../../src/model/config/read-config.ts'
import { Decoder } from '../../src/model/decoder.ts'
import type { DecoderOptions } from '../../src/model/decoder-options.ts'
import type { RowBatch } from '../../src/model/engine.ts'
import {
  type LoadedWeights,
  loadWeights,
  type WeightOptions,
} from '../../src/model/weights/load-weights.ts'
import { openModelFile } from '../../src/node/open-model.ts'

export interface TestEngine extends AsyncDisposable {
  readonly config: ModelConfig
  readonly weights: LoadedWeights
  readonly decoder: Decoder
}

/** Disposing it disposes the backend too. */
export async function openEngine(
  path: string,
  backend: Backend,
  options: WeightOptions & DecoderOptions = {},
): Promise<TestEngine> {
  const { file } = await openModelFile(path)
  try {
    const config = readConfig(file)
    const weights = await loadWeights(backend, file, config, options)
    const decoder = new Decoder(backend, config, weights, options)
    return {
      config,
      weights,
      decoder,
      async [Symbol.asyncDispose]() {
        decoder.dispose()
        weights.dispose()
        backend.dispose()
      },
    }
  } finally {
    await file.close()
  }
}

/** A batch of one sequence in slot 0 from position 0 on, with the logits of all rows or the last. */
export function promptBatch(ids: readonly number[], logits: 'all' | 'last'): RowBatch {
  const rows = ids.map((_, i) => i)
  return {
    tokens: ids,
    slots: rows.map(() => 0),
    positions: rows,
    logitRows: logits === 'all' ? rows : [ids.length - 1],
  }
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, v, i) => Math.max(largest, Math.abs(v - b[i])), 0)
}

export function largestMagnitude(a: Float32Array): number {
  return a.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0)
}

export function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i]
    aa += a[i] * a[i]
    bb += b[i] * b[i]
  }
  return dot / Math.sqrt(aa * bb)
}
