/** POST /api/chat and POST /api/generate, in Ollama's dialect: an object a line unless `stream` is false. */
import { z } from 'zod'
import type { Prompt } from '../../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import { type Desk, resultOf, type Visit } from '../desk.ts'
import { parseBody } from '../openai/fields.ts'
import { badRequest } from '../refusal.ts'
import { jsonLine } from '../stream.ts'
import { closing, generationFields, NDJSON_HEADERS, optionsOf } from './fields.ts'

const message = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string().default(''),
})

export const chatSchema = z.object({
  ...generationFields,
  messages: z.array(message).min(1),
  tools: z.array(z.unknown()).nullish(),
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
  if (body.tools && body.tools.length > 0) throw badRequest('tools', 'Expected no tools.')
  const asked = { model: body.model, stream: body.stream, options: optionsOf(body) }
  return generated(desk, visit, { ...asked, promptFor: () => body.messages }, (content) => ({
    message: { role: 'assistant', content },
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

interface Asked {
  readonly model: string | undefined
  readonly stream: boolean | undefined
  readonly options: GenerateOptions
  promptFor(hasTemplate: boolean): Prompt
}

/** @param said how a route hands a text out */
function generated(
  desk: Desk,
  visit: Visit,
  { model, stream, options, promptFor }: Asked,
  said: (text: string) => object,
): Promise<Response> {
  const head = (modelId: string) => ({ model: modelId, created_at: new Date().toISOString() })
  if (stream === false) {
    return desk.answer(visit, model, async (turn) => {
      const prompt = promptFor(turn.model.tokenizer.chatTemplate !== undefined)
      const result = await resultOf(turn.texts(prompt, options))
      return { ...head(turn.modelId), ...said(result.text), ...closing(result, visit.beganAt) }
    })
  }
  return desk.stream(visit, model, NDJSON_HEADERS, (turn) => {
    const prompt = promptFor(turn.model.tokenizer.chatTemplate !== undefined)
    return lines(turn.texts(prompt, options), visit.beganAt, (text, rest) => ({
      ...head(turn.modelId),
      ...said(text),
      ...rest,
    }))
  })
}

async function* lines(
  texts: AsyncGenerator<string, GenerateResult>,
  beganAt: number,
  object: (text: string, rest: object) => object,
): AsyncGenerator<string, void> {
  for (;;) {
    const { done, value } = await texts.next()
    if (done === true) {
      yield jsonLine(object('', closing(value, beganAt)))
      return
    }
    yield jsonLine(object(value, { done: false }))
  }
}
