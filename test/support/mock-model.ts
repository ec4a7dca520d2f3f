/**
 * For tests: a language model on a mock engine, and a mock engine whose logits lean another way.
 */

import { createLanguageModel } from '../../src/generate/create-language-model.ts'
import type { LanguageModel } from '../../src/generate/language-model.ts'
import type { KvCache, RowBatch } from '../../src/model/engine.ts'
import { ByteTokenizer, MockEngine } from './mock-engine.ts'

/** Draws from all tokens by default, with no penalties. */
export function mockModel(engine: MockEngine, weightBytes = 0): LanguageModel {
  return createLanguageModel({
    name: 'mock',
    engine,
    tokenizer: new ByteTokenizer(),
    backend: { name: 'reference', isa: 'typescript', threads: 1, description: 'mock' },
    memory: {
      ternaryBytes: weightBytes,
      denseBytes: 0,
      activationBytes: 0,
      cacheBytesPerToken: 0,
    },
    loadMs: 0,
    defaults: {
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
    },
    dispose: () => {},
  })
}

/** Agrees with {@link MockEngine} often, but not always: each third token is more likely here. */
export class LeaningEngine extends MockEngine {
  override async forward(cache: KvCache, batch: RowBatch): Promise<Float32Array> {
    const logits = await super.forward(cache, batch)
    for (let i = 0; i < logits.length; i++) if (i % 3 === 0) logits[i] += 0.7
    return logits
  }
}
