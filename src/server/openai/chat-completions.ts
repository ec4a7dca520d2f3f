/** POST /v1/chat/completions */
import { z } from 'zod'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import { type Answer, type Desk, resultOf, type Turn, type Visit } from '../desk.ts'
import { badRequest } from '../refusal.ts'
import { EVENT_STREAM_HEADERS, serverSentEvent } from '../stream.ts'
import {
  count,
  createdNow,
  generateOptions,
  message,
  newId,
  parseBody,
  samplingFields,
  toChatMessage,
  turnsOf,
} from './fields.ts'
import { merged } from './merged.ts'
import {
  callOf,
  formatOptions,
  responseFormat,
  type ToolCallMade,
  type ToolUse,
  toolChoice,
  toolList,
  toolUse,
} from './structure.ts'
import { finishReasonOf, logprobsOf, usageOf } from './usage.ts'

export const chatCompletionSchema = z.object({
  model: z.string().optional(),
  messages: turnsOf(message),
  ...samplingFields,
  max_tokens: count,
  max_completion_tokens: count,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: responseFormat.nullish(),
  tools: toolList.nullish(),
  tool_choice: toolChoice.nullish(),
})
type Body = z.output<typeof chatCompletionSchema>

/** What all answers to a request have in common. */
interface Asked {
  readonly id: string
  readonly created: number
  readonly tools: ToolUse | undefined
  readonly includeUsage: boolean
}

export async function chatCompletion(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(chatCompletionSchema, json)
  const tools = toolUse(body.tools, body.tool_choice)
  const messages = body.messages.map(toChatMessage)
  const prompt = tools === undefined ? messages : tools.shown(messages)
  const options = { ...optionsOf(body), ...formatOptions(body.response_format), ...tools?.options }
  const asked: Asked = {
    id: newId('chatcmpl'),
    created: createdNow(),
    tools,
    includeUsage: body.stream_options?.include_usage === true,
  }
  const answers = (turn: Turn) =>
    Array.from({ length: body.n ?? 1 }, (_, i) => turn.answer(prompt, answerOptions(options, i)))
  if (body.stream === true) {
    return desk.stream(visit, body, EVENT_STREAM_HEADERS, (turn) =>
      events(turn, answers(turn), asked),
    )
  }
  return desk.answer(visit, body, async (turn) => {
    const results = await Promise.all(answers(turn).map(resultOf))
    return {
      id: asked.id,
      created: asked.created,
      object: 'chat.completion',
      model: turn.modelId,
      choices: results.map((result, index) => ({
        index,
        message: { role: 'assistant', refusal: null, ...saidOf(result, tools) },
        logprobs: logprobsOf(result.logprobs),
        finish_reason: endOf(result, tools),
      })),
      usage: usageOf(results),
    }
  })
}

/** A text, or a call. */
function saidOf(result: GenerateResult, tools: ToolUse | undefined) {
  const call = callOf(tools, result)
  return call === undefined
    ? { content: result.text }
    : { content: null, tool_calls: [toolCallOf(call)] }
}

function toolCallOf({ name, arguments: given }: ToolCallMade) {
  const made = { name, arguments: JSON.stringify(given) }
  return { id: newId('call'), type: 'function', function: made }
}

function endOf(result: GenerateResult, tools: ToolUse | undefined) {
  return callOf(tools, result) === undefined ? finishReasonOf(result.finishReason) : 'tool_calls'
}

/** Answer `i` draws by a seed of its own, so that a request's answers differ and each can be had again. */
export function answerOptions(options: GenerateOptions, i: number): GenerateOptions {
  return options.seed === undefined ? options : { ...options, seed: (options.seed + i) >>> 0 }
}

function optionsOf(body: Body): GenerateOptions {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens
  if (typeof body.top_logprobs === 'number' && body.logprobs !== true) {
    throw badRequest('top_logprobs', 'Expected logprobs to be true beside top_logprobs.')
  }
  return {
    ...generateOptions(body),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(body.logprobs === true ? { logprobs: body.top_logprobs ?? 0 } : {}),
  }
}

/** Stands for a text that no answer has. */
const MARK = '\0'

async function* events(
  turn: Turn,
  answers: readonly Answer[],
  { id, created, tools, includeUsage }: Asked,
): AsyncGenerator<string, void> {
  const base = { id, created, object: 'chat.completion.chunk', model: turn.modelId }
  // With usage asked for, every chunk has the field.
  const usage = includeUsage ? { usage: null } : {}
  const chunk = (index: number, delta: object, more: object = {}): string =>
    serverSentEvent({
      ...base,
      choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
      ...usage,
    })
  // What most chunks have in common is written once.
  const [before, behind] = chunk(0, { content: MARK }).split(JSON.stringify(MARK))
  /** Answers that have begun as calls: what they are is known at their ends. */
  const calls = new Set<number>()
  const begun = new Set<number>()
  const results: GenerateResult[] = []
  for await (const { index, token, result } of merged(answers)) {
    if (!begun.has(index)) {
      yield chunk(index, { role: 'assistant', content: '' })
      if (tools !== undefined && token?.text.startsWith('{')) calls.add(index)
    }
    begun.add(index)
    if (token !== undefined) {
      const { text, logprobs } = token
      const content = calls.has(index) ? '' : text
      if (index === 0 && content !== '' && logprobs === undefined) {
        yield before + JSON.stringify(content) + behind
      } else if (content !== '' || logprobs !== undefined) {
        yield chunk(index, { content }, { logprobs: logprobsOf(logprobs && [logprobs]) })
      }
    }
    if (result !== undefined) {
      results[index] = result
      const call = callOf(tools, result)
      if (call !== undefined)
        yield chunk(index, { tool_calls: [{ index: 0, ...toolCallOf(call) }] })
      else if (calls.has(index)) yield chunk(index, { content: result.text })
      yield chunk(index, {}, { finish_reason: endOf(result, tools) })
    }
  }
  if (includeUsage) yield serverSentEvent({ ...base, choices: [], usage: usageOf(results) })
  yield serverSentEvent('[DONE]')
}
