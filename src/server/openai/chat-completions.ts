/** POST /v1/chat/completions */
import { z } from 'zod'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import { type Desk, resultOf, type Turn, type Visit } from '../desk.ts'
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
} from './fields.ts'
import { merged } from './merged.ts'
import { finishReasonOf, logprobsOf, usageOf } from './usage.ts'

export const chatCompletionSchema = z.object({
  model: z.string().optional(),
  messages: z.array(message).min(1),
  ...samplingFields,
  max_tokens: count,
  max_completion_tokens: count,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: z.object({ type: z.string() }).nullish(),
  tools: z.array(z.unknown()).nullish(),
  tool_choice: z.unknown().optional(),
})
type Body = z.output<typeof chatCompletionSchema>

export async function chatCompletion(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(chatCompletionSchema, json)
  refuseConstraints(body)
  const prompt = body.messages.map(toChatMessage)
  const options = optionsOf(body)
  const head = { id: newId('chatcmpl'), created: createdNow() }
  const answers = (turn: Turn) =>
    Array.from({ length: body.n ?? 1 }, (_, i) => turn.texts(prompt, answerOptions(options, i)))
  if (body.stream === true) {
    return desk.stream(visit, body.model, EVENT_STREAM_HEADERS, (turn) =>
      events(turn, answers(turn), head, body.stream_options?.include_usage === true),
    )
  }
  return desk.answer(visit, body.model, async (turn) => {
    const results = await Promise.all(answers(turn).map(resultOf))
    return {
      ...head,
      object: 'chat.completion',
      model: turn.modelId,
      choices: results.map((result, index) => ({
        index,
        message: { role: 'assistant', content: result.text, refusal: null },
        logprobs: logprobsOf(result.logprobs),
        finish_reason: finishReasonOf(result.finishReason),
      })),
      usage: usageOf(results),
    }
  })
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

function refuseConstraints({ response_format: format, tools, tool_choice: choice }: Body): void {
  if (format && format.type !== 'text') {
    throw badRequest(
      'response_format',
      `Expected response_format "text", got "${format.type.slice(0, 40)}", which this server cannot ` +
        'hold an answer to. Ask for it in a message.',
    )
  }
  if (tools && tools.length > 0 && choice !== 'none') {
    throw badRequest('tools', 'Expected no tools, which this server cannot hold an answer to.')
  }
}

async function* events(
  turn: Turn,
  answers: readonly AsyncGenerator<string, GenerateResult>[],
  head: { readonly id: string; readonly created: number },
  includeUsage: boolean,
): AsyncGenerator<string, void> {
  const base = { ...head, object: 'chat.completion.chunk', model: turn.modelId }
  // With usage asked for, every chunk has the field.
  const usage = includeUsage ? { usage: null } : {}
  const chunk = (index: number, delta: object, result?: GenerateResult): string =>
    serverSentEvent({
      ...base,
      choices: [
        {
          index,
          delta,
          logprobs: logprobsOf(result?.logprobs),
          finish_reason: result === undefined ? null : finishReasonOf(result.finishReason),
        },
      ],
      ...usage,
    })
  const begun = new Set<number>()
  const results: GenerateResult[] = []
  for await (const { index, text, result } of merged(answers)) {
    if (!begun.has(index)) yield chunk(index, { role: 'assistant', content: '' })
    begun.add(index)
    if (text !== undefined) yield chunk(index, { content: text })
    if (result !== undefined) {
      results[index] = result
      yield chunk(index, {}, result)
    }
  }
  if (includeUsage) yield serverSentEvent({ ...base, choices: [], usage: usageOf(results) })
  yield serverSentEvent('[DONE]')
}
