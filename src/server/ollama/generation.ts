/** POST /api/chat and POST /api/generate, in Ollama's dialect: an object a line unless `stream` is false. */
import { z } from 'zod'
import type { Prompt } from '../../generate/language-model.ts'
import type { GenerateOptions } from '../../generate/options.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import { type Answer, type Desk, resultOf, type Visit } from '../desk.ts'
import { parseBody, turnsOf } from '../openai/fields.ts'
import { callOf, type ToolCallMade, type ToolUse, toolList, toolUse } from '../openai/structure.ts'
import { badRequest } from '../refusal.ts'
import { jsonLine } from '../stream.ts'
import { closing, generationFields, NDJSON_HEADERS, optionsOf } from './fields.ts'

const toolCall = z.object({
  function: z.object({ name: z.string(), arguments: z.unknown() }),
})

const message = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string().default(''),
  tool_name: z.string().optional(),
  tool_calls: z.array(toolCall).optional(),
})

export const chatSchema = z.object({
  ...generationFields,
  messages: turnsOf(message),
  tools: toolList.nullish(),
})

export const generateSchema = z.object({
  ...generationFields,
  prompt: z.string(),
  system: z.string().nullish(),
  raw: z.boolean().nullish(),
  suffix: z.string().nullish(),
  images: z.array(z.unknown()).nullish(),
})

export async function chat(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(chatSchema, json)
  const tools = toolUse(body.tools, undefined)
  const given = body.messages.map(toChatMessage)
  const prompt = tools === undefined ? given : tools.shown(given)
  const options = { ...optionsOf(body), ...tools?.options }
  const asked = { model: body.model, stream: body.stream, options, tools }
  return generated(desk, visit, { ...asked, promptFor: () => prompt }, (content, call) => ({
    message: {
      role: 'assistant',
      content,
      ...(call === undefined ? {} : { tool_calls: [{ function: call }] }),
    },
  }))
}

export async function generate(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(generateSchema, json)
  if (body.suffix) throw badRequest('suffix', 'Expected no suffix.')
  if (body.images && body.images.length > 0) throw badRequest('images', 'Expected no images.')
  const messages: ChatMessage[] = [{ role: 'user', content: body.prompt }]
  if (body.system) messages.unshift({ role: 'system', content: body.system })
  // A model without a template continues the text, as it does there.
  const promptFor = (hasTemplate: boolean) =>
    body.raw === true || !hasTemplate ? body.prompt : messages
  const asked = { model: body.model, stream: body.stream, options: optionsOf(body) }
  return generated(desk, visit, { ...asked, promptFor }, (response) => ({ response }))
}

function toChatMessage({
  tool_name: name,
  tool_calls,
  ...said
}: z.output<typeof message>): ChatMessage {
  return { ...said, ...(name && { name }), ...(tool_calls && { tool_calls }) }
}

interface Asked {
  readonly model: string | undefined
  readonly stream: boolean | undefined
  readonly options: GenerateOptions
  readonly tools?: ToolUse | undefined
  promptFor(hasTemplate: boolean): Prompt
}

/** @param said how a route hands out a text, or a call */
function generated(
  desk: Desk,
  visit: Visit,
  { model, stream, options, tools, promptFor }: Asked,
  said: (text: string, call?: ToolCallMade) => object,
): Promise<Response> {
  const head = (modelId: string) => ({ model: modelId, created_at: new Date().toISOString() })
  if (stream === false) {
    return desk.answer(visit, { model }, async (turn) => {
      const prompt = promptFor(turn.model.tokenizer.chatTemplate !== undefined)
      const result = await resultOf(turn.answer(prompt, options))
      const call = callOf(tools, result)
      const text = call === undefined ? result.text : ''
      return { ...head(turn.modelId), ...said(text, call), ...closing(result, visit.beganAt) }
    })
  }
  return desk.stream(visit, { model }, NDJSON_HEADERS, (turn) => {
    const prompt = promptFor(turn.model.tokenizer.chatTemplate !== undefined)
    const object = (text: string, rest: object, call?: ToolCallMade) => ({
      ...head(turn.modelId),
      ...said(text, call),
      ...rest,
    })
    return lines(turn.answer(prompt, options), { beganAt: visit.beganAt, tools }, object)
  })
}

async function* lines(
  answer: Answer,
  { beganAt, tools }: { readonly beganAt: number; readonly tools: ToolUse | undefined },
  object: (text: string, rest: object, call?: ToolCallMade) => object,
): AsyncGenerator<string, void> {
  /** Whether the answer has begun as a call: what it is is known at its end. */
  let isCall: boolean | undefined
  for (;;) {
    const { done, value } = await answer.next()
    if (done === true) {
      const call = callOf(tools, value)
      if (call !== undefined) yield jsonLine(object('', { done: false }, call))
      else if (isCall === true) yield jsonLine(object(value.text, { done: false }))
      yield jsonLine(object('', closing(value, beganAt)))
      return
    }
    isCall ??= tools !== undefined && value.text.startsWith('{')
    if (!isCall) yield jsonLine(object(value.text, { done: false }))
  }
}
