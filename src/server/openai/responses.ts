/**
 * POST /v1/responses: text in, text or a call out. The server keeps no conversations, so that earlier turns come
 * with the request.
 */
import { z } from 'zod'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import { type Answer, type Desk, resultOf, type Turn, type Visit } from '../desk.ts'
import { badRequest } from '../refusal.ts'
import { EVENT_STREAM_HEADERS, serverSentEvent } from '../stream.ts'
import {
  content,
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
import {
  callOf,
  MOST_TOOLS,
  schemaOptions,
  type ToolCallMade,
  type ToolUse,
  toolFunction,
  toolUse,
} from './structure.ts'

/** The same as chat completions have, with the schema one step nearer. */
const textFormat = z.union([
  z.object({ type: z.enum(['text', 'json_object']) }),
  z.object({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }),
])

const callItem = z.object({
  type: z.literal('function_call'),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
})
const callOutputItem = z.object({
  type: z.literal('function_call_output'),
  call_id: z.string(),
  output: content,
})
const inputItem = z.union([
  callItem,
  callOutputItem,
  message.extend({ type: z.literal('message').optional() }),
])

/** The same as chat completions have, without the object around what a function is. */
const tool = toolFunction.extend({ type: z.literal('function') })
const choice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), name: z.string() }),
])

export const responseSchema = z.object({
  model: z.string().optional(),
  input: z.union([z.string(), turnsOf(inputItem)]),
  instructions: z.string().nullish(),
  max_output_tokens: count,
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  stream: samplingFields.stream,
  priority: samplingFields.priority,
  deadline: samplingFields.deadline,
  store: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  text: z.object({ format: textFormat.optional() }).nullish(),
  tools: z.array(tool).max(MOST_TOOLS).nullish(),
  tool_choice: choice.nullish(),
})
type Body = z.output<typeof responseSchema>

export async function response(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(responseSchema, json)
  refuseState(body)
  const tools = toolsOf(body)
  const messages = promptOf(body)
  const prompt = tools === undefined ? messages : tools.shown(messages)
  const maxTokens = body.max_output_tokens
  const options: GenerateOptions = {
    ...generateOptions(body),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...heldTo(body),
    ...tools?.options,
  }
  const [id, itemId, callId] = ['resp', 'item', 'call'].map(newId)
  const head = { id, itemId, callId, created: createdNow(), body, tools }
  if (body.stream === true) {
    return desk.stream(visit, body, EVENT_STREAM_HEADERS, (turn) =>
      events(head, turn.modelId, turn.answer(prompt, options)),
    )
  }
  return desk.answer(visit, body, async (turn: Turn) =>
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
}

function toolsOf({ tools, tool_choice: choice }: Body): ToolUse | undefined {
  const wrapped = tools?.map(({ type, ...rest }) => ({ type, function: rest }))
  const isOne = typeof choice === 'object' && choice !== null
  return toolUse(wrapped, isOne ? { type: choice.type, function: { name: choice.name } } : choice)
}

function heldTo({ text }: Body): GenerateOptions {
  const format = text?.format
  if (format === undefined || format.type === 'text') return {}
  return schemaOptions('schema' in format ? format.schema : undefined)
}

function promptOf({ input, instructions }: Body): ChatMessage[] {
  const given: ChatMessage[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : input.map(messageOf)
  return instructions ? [{ role: 'system', content: instructions }, ...given] : given
}

/** An item of a conversation, as chat templates know it. */
function messageOf(item: z.output<typeof inputItem>): ChatMessage {
  if (item.type === 'function_call_output') {
    return toChatMessage({ role: 'tool', content: item.output, tool_call_id: item.call_id })
  }
  if (item.type === 'function_call') {
    const { call_id: id, name, arguments: given } = item
    const call = { id, type: 'function', function: { name, arguments: given } }
    return toChatMessage({ role: 'assistant', tool_calls: [call] })
  }
  return toChatMessage(item)
}

interface Head {
  readonly id: string
  readonly itemId: string
  readonly callId: string
  readonly created: number
  readonly body: Body
  readonly tools: ToolUse | undefined
}

function messageItem({ itemId }: Head, text: string | undefined) {
  const parts = text === undefined ? [] : [{ type: 'output_text', text, annotations: [] }]
  const status = text === undefined ? 'in_progress' : 'completed'
  return { type: 'message', id: itemId, status, role: 'assistant', content: parts }
}

function callItemOf({ itemId, callId }: Head, { name, arguments: given }: ToolCallMade) {
  const made = { call_id: callId, name, arguments: JSON.stringify(given) }
  return { type: 'function_call', id: itemId, status: 'completed', ...made }
}

/** A text, or a call. */
function itemOf(head: Head, result: GenerateResult) {
  const call = callOf(head.tools, result)
  return call === undefined ? messageItem(head, result.text) : callItemOf(head, call)
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
    output: result === undefined ? [] : [itemOf(head, result)],
    parallel_tool_calls: false,
    previous_response_id: null,
    store: false,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    usage: usage ?? null,
    metadata: {},
  }
}

type Event = (type: string, fields: object) => string

async function* events(head: Head, model: string, answer: Answer): AsyncGenerator<string, void> {
  let sequence_number = 0
  const event: Event = (type, fields) =>
    serverSentEvent({ type, sequence_number: sequence_number++, ...fields }, type)
  // What is wrong with the prompt shows with the first text, before anything is said.
  const first = await answer.next()
  const begun = responseBody(head, model, undefined)
  yield event('response.created', { response: begun })
  yield event('response.in_progress', { response: begun })
  let result: GenerateResult
  const mayBeCall = head.tools !== undefined && first.done !== true && first.value.text[0] === '{'
  if (mayBeCall) {
    // What it is is known at its end.
    result = await resultOf(answer)
    const call = callOf(head.tools, result)
    if (call === undefined) yield* textEvents(head, event, ended(result))
    else yield* callEvents(callItemOf(head, call), event)
  } else {
    result = yield* textEvents(head, event, resumed(first, answer))
  }
  const whole = responseBody(head, model, result)
  yield event(`response.${whole.status}`, { response: whole })
}

async function* textEvents(
  head: Head,
  event: Event,
  deltas: AsyncGenerator<string, GenerateResult>,
): AsyncGenerator<string, GenerateResult> {
  const place = { item_id: head.itemId, output_index: 0, content_index: 0 }
  const emptyPart = { type: 'output_text', text: '', annotations: [] }
  yield event('response.output_item.added', { output_index: 0, item: messageItem(head, undefined) })
  yield event('response.content_part.added', { ...place, part: emptyPart })
  let next = await deltas.next()
  for (; next.done !== true; next = await deltas.next()) {
    yield event('response.output_text.delta', { ...place, delta: next.value, logprobs: [] })
  }
  const { text } = next.value
  yield event('response.output_text.done', { ...place, text, logprobs: [] })
  yield event('response.content_part.done', { ...place, part: { ...emptyPart, text } })
  yield event('response.output_item.done', { output_index: 0, item: messageItem(head, text) })
  return next.value
}

function* callEvents(item: ReturnType<typeof callItemOf>, event: Event): Generator<string, void> {
  const { arguments: given } = item
  const place = { item_id: item.id, output_index: 0 }
  const begun = { ...item, arguments: '', status: 'in_progress' }
  yield event('response.output_item.added', { output_index: 0, item: begun })
  yield event('response.function_call_arguments.delta', { ...place, delta: given })
  yield event('response.function_call_arguments.done', { ...place, arguments: given })
  yield event('response.output_item.done', { output_index: 0, item })
}

async function* resumed(
  first: Awaited<ReturnType<Answer['next']>>,
  rest: Answer,
): AsyncGenerator<string, GenerateResult> {
  let next = first
  for (; next.done !== true; next = await rest.next()) yield next.value.text
  return next.value
}

async function* ended(result: GenerateResult): AsyncGenerator<string, GenerateResult> {
  yield result.text
  return result
}
