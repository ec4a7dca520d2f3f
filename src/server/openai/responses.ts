/**
 * POST /v1/responses: text in, text out. The server keeps no conversations, so that earlier turns come with
 * the request.
 */
import { z } from 'zod'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
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
} from './fields.ts'
import { schemaOptions } from './structure.ts'

/** The same as chat completions have, with the schema one step nearer. */
const textFormat = z.union([
  z.object({ type: z.enum(['text', 'json_object']) }),
  z.object({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }),
])

export const responseSchema = z.object({
  model: z.string().optional(),
  input: z.union([
    z.string(),
    z.array(message.extend({ type: z.literal('message').optional() })).min(1),
  ]),
  instructions: z.string().nullish(),
  max_output_tokens: count,
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  stream: samplingFields.stream,
  store: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  text: z.object({ format: textFormat.optional() }).nullish(),
  tools: z.array(z.unknown()).nullish(),
})
type Body = z.output<typeof responseSchema>

export async function response(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(responseSchema, json)
  refuseState(body)
  const prompt = promptOf(body)
  const maxTokens = body.max_output_tokens
  const options: GenerateOptions = {
    ...generateOptions(body),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...heldTo(body),
  }
  const head = { id: newId('resp'), itemId: newId('msg'), created: createdNow(), body }
  if (body.stream === true) {
    return desk.stream(visit, body.model, EVENT_STREAM_HEADERS, (turn) =>
      events(head, turn.modelId, turn.answer(prompt, options)),
    )
  }
  return desk.answer(visit, body.model, async (turn: Turn) =>
    responseBody(head, turn.modelId, await resultOf(turn.answer(prompt, options))),
  )
}

function refuseState(body: Body): void {
  if (body.previous_response_id) {
    throw badRequest(
      'previous_response_id',
      'Expected the whole conversation in input, got previous_response_id: nothing is stored here.',
    )
  }
  if (body.tools && body.tools.length > 0) throw badRequest('tools', 'Expected no tools.')
}

function heldTo({ text }: Body): GenerateOptions {
  const format = text?.format
  if (format === undefined || format.type === 'text') return {}
  return schemaOptions('schema' in format ? format.schema : undefined)
}

function promptOf({ input, instructions }: Body): ChatMessage[] {
  const given: ChatMessage[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : input.map(toChatMessage)
  return instructions ? [{ role: 'system', content: instructions }, ...given] : given
}

interface Head {
  readonly id: string
  readonly itemId: string
  readonly created: number
  readonly body: Body
}

function messageItem({ itemId }: Head, text: string | undefined) {
  const parts = text === undefined ? [] : [{ type: 'output_text', text, annotations: [] }]
  const status = text === undefined ? 'in_progress' : 'completed'
  return { type: 'message', id: itemId, status, role: 'assistant', content: parts }
}

function responseBody(head: Head, model: string, result: GenerateResult | undefined) {
  const { id, created, body } = head
  const isCut = result !== undefined && result.finishReason !== 'stop'
  const usage = result && {
    input_tokens: result.usage.promptTokens,
    input_tokens_details: { cached_tokens: result.usage.cachedTokens },
    output_tokens: result.usage.completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: result.usage.totalTokens,
  }
  return {
    id,
    object: 'response',
    created_at: created,
    status: result === undefined ? 'in_progress' : isCut ? 'incomplete' : 'completed',
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model,
    output: result === undefined ? [] : [messageItem(head, result.text)],
    parallel_tool_calls: false,
    previous_response_id: null,
    store: false,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: 'none',
    tools: [],
    usage: usage ?? null,
    metadata: {},
  }
}

async function* events(head: Head, model: string, answer: Answer): AsyncGenerator<string, void> {
  let sequence_number = 0
  const event = (type: string, fields: object): string =>
    serverSentEvent({ type, sequence_number: sequence_number++, ...fields }, type)
  const place = { item_id: head.itemId, output_index: 0, content_index: 0 }
  const emptyPart = { type: 'output_text', text: '', annotations: [] }
  // What is wrong with the prompt shows with the first text, before anything is said.
  let next = await answer.next()
  const begun = responseBody(head, model, undefined)
  yield event('response.created', { response: begun })
  yield event('response.in_progress', { response: begun })
  yield event('response.output_item.added', { output_index: 0, item: messageItem(head, undefined) })
  yield event('response.content_part.added', { ...place, part: emptyPart })
  for (; next.done !== true; next = await answer.next()) {
    yield event('response.output_text.delta', { ...place, delta: next.value.text, logprobs: [] })
  }
  const { text } = next.value
  const whole = responseBody(head, model, next.value)
  yield event('response.output_text.done', { ...place, text, logprobs: [] })
  yield event('response.content_part.done', { ...place, part: { ...emptyPart, text } })
  yield event('response.output_item.done', { output_index: 0, item: messageItem(head, text) })
  yield event(`response.${whole.status}`, { response: whole })
}
