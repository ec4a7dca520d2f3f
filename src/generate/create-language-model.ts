/**
 * Puts an engine and what is known of its model together into what a program uses.
 */
import type { DecodeEngine } from '../model/engine.ts'
import { CachedChatSession } from './chat/chat-session.ts'
import { embedTexts } from './embed.ts'
import type { LanguageModel, ModelFacts, Prompt } from './language-model.ts'
import type { GenerateOptions, Generation } from './options.ts'
import { checkRoom, encodePrompt } from './prompt.ts'
import { generateBatch } from './schedule/batch.ts'
import { Runtime } from './schedule/runtime.ts'
import { openGuesser } from './speculate/open-guesser.ts'
import { resolveOptions } from './validate-options.ts'

interface LanguageModelParts extends ModelFacts {
  readonly engine: DecodeEngine
  /** Frees the weights and the backend; called once, after everything that ran has ended. */
  readonly dispose: () => void | Promise<void>
}

/** A language model of the parts. The engine must not be used by anyone else. */
export function createLanguageModel(parts: LanguageModelParts): LanguageModel {
  const { engine, dispose: free, ...facts } = parts
  const runtime = new Runtime(engine, facts)
  let disposal: Promise<void> | undefined
  const dispose = () => {
    disposal ??= runtime.dispose().then(free)
    return disposal
  }
  const model: LanguageModel = {
    ...facts,
    config: engine.config,
    generate: (prompt, options = {}) => generate(runtime, prompt, options),
    generateBatch: (prompts, options = {}) => generateBatch(runtime, prompts, options),
    embed: (texts, options = {}) => embedTexts(runtime, texts, options),
    chat(options = {}) {
      runtime.assertUsable()
      return new CachedChatSession(runtime, options)
    },
    stats: () => runtime.scheduler.stats,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
  runtime.serve(model)
  return model
}

function generate(runtime: Runtime, prompt: Prompt, options: GenerateOptions): Generation {
  return runtime.start(options, async ({ signal, emit, isBehind }) => {
    const resolved = resolveOptions(options, runtime.facts.defaults)
    const promptIds = encodePrompt(runtime.tokenizer, prompt, options.tools)
    const { contextLength } = runtime
    checkRoom('the prompt', promptIds, contextLength)
    const positions = Math.min(contextLength, promptIds.length + resolved.maxTokens)
    const guesser = openGuesser(runtime, resolved.speculation, positions)
    try {
      const facts = { promptIds, options: resolved, positions, guesser, emit, isBehind, signal }
      const [result] = await runtime.generate([runtime.newSequence(facts)], options, signal)
      return result
    } finally {
      guesser?.dispose()
    }
  })
}
