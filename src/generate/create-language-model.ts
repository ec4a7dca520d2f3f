/**
 * Puts an engine and what is known of its model together into what a program uses.
 */
import type { DecodeEngine } from '../model/engine.ts'
import type { FfnZeros } from '../model/ffn-zeros.ts'
import { checkOptions, SIGNAL } from '../option-checks.ts'
import { type Steps, sharedSteps } from '../steps.ts'
import { oneTurn, takingTurns } from '../turns.ts'
import { CachedChatSession } from './chat/chat-session.ts'
import { embedTexts } from './embed.ts'
import type { AnswersOptions, LanguageModel, ModelFacts, Prompt } from './language-model.ts'
import type { GenerateOptions, Generation } from './options.ts'
import { checkRoom, encodePrompt } from './prompt.ts'
import { freshSeed, seedAt } from './sample/random.ts'
import { ANSWERS, generateBatch } from './schedule/batch.ts'
import { Runtime } from './schedule/runtime.ts'
import type { Sequence } from './schedule/sequence.ts'
import { openGuesser } from './speculate/open-guesser.ts'
import { loadPrompt, savePrompt } from './state/prompt-state.ts'
import { resolveOptions, validateGenerateOptions } from './validate-options.ts'

interface LanguageModelParts extends ModelFacts {
  readonly engine: DecodeEngine
  /** What the feed-forward leaves out for some tokens. */
  readonly ffnZeros: (tokens: readonly number[], signal: AbortSignal) => Promise<FfnZeros[]>
  /** Frees the weights and the backend; called once, after everything that ran has ended. */
  readonly dispose: () => void | Promise<void>
}

/** A language model of the parts. The engine must not be used by anyone else. */
export function createLanguageModel(parts: LanguageModelParts): LanguageModel {
  const { engine, ffnZeros, dispose: free, ...facts } = parts
  const runtime = new Runtime(engine, facts)
  let disposal: Promise<void> | undefined
  const dispose = () => {
    disposal ??= runtime.dispose().then(free)
    return disposal
  }
  const model: LanguageModel = {
    ...facts,
    config: engine.config,
    contextLength: runtime.contextLength,
    generate: ((prompt: Prompt, options: GenerateOptions | AnswersOptions = {}) =>
      // What is no object is refused by either, in words.
      typeof options === 'object' && options && 'n' in options && options.n !== undefined
        ? generateSeveral(runtime, prompt, options)
        : generate(runtime, prompt, options)) as LanguageModel['generate'],
    generateBatch: (prompts, options = {}) => generateBatch(runtime, prompts, options),
    embed: (texts, options = {}) => embedTexts(runtime, texts, options),
    chat(options = {}) {
      runtime.assertUsable()
      return new CachedChatSession(runtime, options)
    },
    saveState: (of) => savePrompt(runtime, of),
    loadState: (bytes) => loadPrompt(runtime, bytes),
    async ffnZeros(text, options = {}) {
      runtime.assertUsable()
      checkOptions('ffnZeros', options, { signal: SIGNAL })
      const tokens = await takingTurns(encodePrompt(runtime.tokenizer, text), options.signal)
      return runtime.run(options.signal, (signal) => ffnZeros(tokens, signal))
    },
    stats: () => runtime.scheduler.stats,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
  runtime.serve(model)
  return model
}

/** What all answers to a prompt have of it. */
interface Common {
  readonly encode: () => Steps<readonly number[]>
  /** The sequence that computes it for all. */
  leader?: Sequence
}

function commonOf(runtime: Runtime, prompt: Prompt, { tools }: GenerateOptions): Common {
  return { encode: sharedSteps(encodePrompt(runtime.tokenizer, prompt, tools)) }
}

function generate(
  runtime: Runtime,
  prompt: Prompt,
  options: GenerateOptions,
  shared?: Common,
): Generation {
  return runtime.start(options, async ({ signal, emit, isBehind }) => {
    const resolved = resolveOptions(options, runtime.facts.defaults)
    const common = shared ?? commonOf(runtime, prompt, options)
    const steps = common.encode()
    // What is short shares the first pass with what was called for at the same moment.
    const promptIds = oneTurn(steps)?.value ?? (await longPrompt(steps, signal))
    const { contextLength } = runtime
    checkRoom('the prompt', promptIds, contextLength)
    const positions = Math.min(contextLength, promptIds.length + resolved.maxTokens)
    const guesser = openGuesser(runtime, resolved.speculation, positions)
    try {
      const { leader } = common
      const beside = { leader, guesser, emit, isBehind, signal }
      const sequence = runtime.newSequence({ promptIds, options: resolved, positions, ...beside })
      common.leader ??= sequence
      const [result] = await runtime.generate([sequence], options, signal)
      return result
    } finally {
      guesser?.dispose()
    }
  })
}

/** @throws UsageError */
function generateSeveral(
  runtime: Runtime,
  prompt: Prompt,
  { n, ...options }: AnswersOptions,
): readonly Generation[] {
  checkOptions('generate', { n }, { n: ANSWERS })
  validateGenerateOptions(options)
  const { seed = freshSeed() } = options
  const common = commonOf(runtime, prompt, options)
  return Array.from({ length: n }, (_, i) =>
    generate(runtime, prompt, { ...options, seed: seedAt(seed, i) }, common),
  )
}

/** No ids where the signal aborts: nothing is computed then, as a moment later. */
async function longPrompt(
  steps: Steps<readonly number[]>,
  signal: AbortSignal,
): Promise<readonly number[]> {
  try {
    return await takingTurns(steps, signal)
  } catch (error) {
    if (signal.aborted) return []
    throw error
  }
}
