/**
 * For tests: a language model on a mock engine, and a mock engine whose logits lean another way.
 */

import { createLanguageModel } from '../../src/generate/create-language-model.ts'
import type { LanguageModel } from '../../src/generate/language-model.ts'
import type { SamplingSettings } from '../../src/generate/validate-options.ts'
import type { RowBatch } from '../../src/model/engine.ts'
import type { TextTokenizer } from '../../src/tokenizer/text-tokenizer.ts'
import { ByteTokenizer, MockEngine } from './mock-engine.ts'

/** Draws from all tokens, with no penalties. */
export const ALL_TOKENS: SamplingSettings = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
}

interface MockModelOptions {
  readonly tokenizer?: TextTokenizer
  /** Unset: {@link ALL_TOKENS}. */
  readonly defaults?: Partial<SamplingSettings>
  readonly weightBytes?: number
  readonly loadMs?: number
  readonly dispose?: () => void
}

export function mockModel(engine: MockEngine, options: MockModelOptions = {}): LanguageModel {
  const { tokenizer, defaults, weightBytes = 0, loadMs = 0, dispose = () => {} } = options
  return createLanguageModel({
    name: 'mock',
    engine,
    ffnZeros: async () => [],
    tokenizer: tokenizer ?? new ByteTokenizer(),
    backend: { name: 'reference', isa: 'typescript', threads: 1, description: 'mock' },
    memory: {
      ternaryBytes: weightBytes,
      denseBytes: 0,
      activationBytes: 0,
      cacheBytesPerToken: 0,
    },
    loadMs,
    defaults: { ...ALL_TOKENS, ...defaults },
    warnings: [],
    dispose,
  })
}

/** Agrees with {@link MockEngine} often, but not always: each third token is more likely here. */
export class LeaningEngine extends MockEngine {
  override async forward(batch: RowBatch): Promise<Float32Array> {
    const logits = await super.forward(batch)
    for (let i = 0; i < logits.length; i++) if (i % 3 === 0) logits[i] += 0.7
    return logits
  }
}
