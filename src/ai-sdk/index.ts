/**
 * A loaded model as the AI SDK (package `ai`, version 6) takes one, in this process and without a server:
 *
 *     generateText({ model: bitnet(loadModel()), prompt: 'Hello' })
 */
import type {
  EmbeddingModelV3,
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
} from '@ai-sdk/provider'
import type { LanguageModel } from '../generate/language-model.ts'
import type { GenerateResult, Generation } from '../generate/options.ts'
import { callOf, type ToolUse } from '../server/openai/structure.ts'
import { callOptions } from './call-options.ts'

/** A model, one on its way, or what gives one when it is first needed. */
export type ModelGiven = LanguageModel | Promise<LanguageModel> | (() => Promise<LanguageModel>)

const PROVIDER = 'bitnet'
/** Texts in one call, as many as the server takes. */
const MOST_TEXTS = 2048

/** What `model` gives, asked for once. */
function once(given: ModelGiven): () => Promise<LanguageModel> {
  let model: Promise<LanguageModel> | undefined
  return () => {
    model ??= Promise.resolve(typeof given === 'function' ? given() : given)
    return model
  }
}

/** @param modelId what telemetry calls it; unset: "bitnet" */
export function bitnet(model: ModelGiven, modelId: string = PROVIDER): LanguageModelV3 {
  const loaded = once(model)
  const begin = async (options: LanguageModelV3CallOptions) => {
    const { prompt, generate, tools, warnings } = callOptions(options)
    const generation = (await loaded()).generate(prompt, generate)
    return { generation, tools, warnings }
  }
  return {
    specificationVersion: 'v3',
    provider: PROVIDER,
    modelId,
    supportedUrls: {},

    async doGenerate(options) {
      const { generation, tools, warnings } = await begin(options)
      const result = await generation.result
      options.abortSignal?.throwIfAborted()
      const content = [contentOf(result, tools)]
      return { content, finishReason: reasonOf(result, tools), usage: usageOf(result), warnings }
    },

    async doStream(options) {
      const { generation, tools, warnings } = await begin(options)
      const pieces = parts(generation, tools, options.abortSignal)
      return {
        stream: new ReadableStream<LanguageModelV3StreamPart>({
          start: (controller) => controller.enqueue({ type: 'stream-start', warnings }),
          async pull(controller) {
            const { done, value } = await pieces.next()
            if (done === true) controller.close()
            else controller.enqueue(value)
          },
          cancel: async () => {
            await pieces.return()
          },
        }),
      }
    },
  }
}

/** The vectors of texts by a model. */
export function bitnetEmbedding(model: ModelGiven, modelId: string = PROVIDER): EmbeddingModelV3 {
  const loaded = once(model)
  return {
    specificationVersion: 'v3',
    provider: PROVIDER,
    modelId,
    maxEmbeddingsPerCall: MOST_TEXTS,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal }) {
      const vectors = await (await loaded()).embed(values, abortSignal && { signal: abortSignal })
      return { embeddings: vectors.map((vector) => [...vector]), warnings: [] }
    },
  }
}

async function* parts(
  generation: Generation,
  tools: ToolUse | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<LanguageModelV3StreamPart, void> {
  const id = 'answer'
  /** Whether the answer has begun as a call: what it is is known at its end. */
  let isCall: boolean | undefined
  let result: GenerateResult
  try {
    for await (const delta of generation) {
      if (isCall === undefined) {
        isCall = tools !== undefined && delta.startsWith('{')
        if (!isCall) yield { type: 'text-start', id }
      }
      if (!isCall) yield { type: 'text-delta', id, delta }
    }
    result = await generation.result
    signal?.throwIfAborted()
  } catch (error) {
    yield { type: 'error', error }
    return
  }
  if (isCall === false) yield { type: 'text-end', id }
  if (isCall === true) {
    const content = contentOf(result, tools)
    if (content.type === 'tool-call') yield content
    else {
      yield { type: 'text-start', id }
      yield { type: 'text-delta', id, delta: result.text }
      yield { type: 'text-end', id }
    }
  }
  yield { type: 'finish', finishReason: reasonOf(result, tools), usage: usageOf(result) }
}

function contentOf(
  result: GenerateResult,
  tools: ToolUse | undefined,
): Extract<LanguageModelV3Content, { type: 'text' | 'tool-call' }> {
  const call = callOf(tools, result)
  if (call === undefined) return { type: 'text', text: result.text }
  return {
    type: 'tool-call',
    toolCallId: crypto.randomUUID(),
    toolName: call.name,
    input: JSON.stringify(call.arguments),
  }
}

function reasonOf(result: GenerateResult, tools: ToolUse | undefined): LanguageModelV3FinishReason {
  const raw = result.finishReason
  if (callOf(tools, result) !== undefined) return { unified: 'tool-calls', raw }
  return { unified: raw === 'cancelled' ? 'other' : raw, raw }
}

function usageOf({ usage }: GenerateResult): LanguageModelV3Usage {
  const { promptTokens: total, cachedTokens: cacheRead, completionTokens } = usage
  return {
    inputTokens: { total, cacheRead, noCache: total - cacheRead, cacheWrite: undefined },
    outputTokens: { total: completionTokens, text: completionTokens, reasoning: undefined },
  }
}
