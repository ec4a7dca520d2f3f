/** What an answer is held to: a format, or calls of tools; and what those are in a conversation. */
import { z } from 'zod'
import { isObject } from '../../checks.ts'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import type { JsonSchema } from '../../generate/schema/answer-schema.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import { badRequest } from '../refusal.ts'

export const MOST_TOOLS = 128

const jsonSchema = z.record(z.string(), z.unknown())

export const responseFormat = z.union([
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({ type: z.literal('json_schema'), json_schema: z.object({ schema: jsonSchema }) }),
])

export const toolFunction = z.object({
  name: z.string().regex(/^[\w.-]{1,64}$/),
  description: z.string().nullish(),
  parameters: jsonSchema.nullish(),
})
const tool = z.object({ type: z.literal('function'), function: toolFunction })
export const toolList = z.array(tool).max(MOST_TOOLS)
export type Tool = z.output<typeof tool>

export const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
])

/** A schema as a request has it, or any object. */
export function schemaOptions(schema: JsonSchema = { type: 'object' }): GenerateOptions {
  return { schema }
}

export function formatOptions(
  format: z.output<typeof responseFormat> | null | undefined,
): GenerateOptions {
  if (!format || format.type === 'text') return {}
  return schemaOptions(format.type === 'json_object' ? undefined : format.json_schema.schema)
}

/** Tools that an answer may call, or must. */
export interface ToolUse {
  readonly options: GenerateOptions
  /** The conversation as the model is shown it: what tools there are, what was called, and what that gave. */
  shown(messages: readonly ChatMessage[]): readonly ChatMessage[]
}

export interface ToolCallMade {
  readonly name: string
  readonly arguments: unknown
}

/**
 * @returns undefined where there are no tools, or none may be called
 * @throws Refusal (400) for a choice of a tool that there is not
 */
export function toolUse(
  tools: readonly Tool[] | null | undefined,
  choice: z.output<typeof toolChoice> | null | undefined,
): ToolUse | undefined {
  if (!tools || tools.length === 0) {
    if (choice && choice !== 'none' && choice !== 'auto') {
      throw badRequest('tool_choice', 'Expected tools beside tool_choice, got none.')
    }
    return undefined
  }
  if (choice === 'none') return undefined
  const wanted = typeof choice === 'object' ? choice?.function.name : undefined
  const callable = tools.filter(({ function: { name } }) => (wanted ?? name) === name)
  if (callable.length === 0) {
    throw badRequest('tool_choice', 'Expected tool_choice to name one of the tools.')
  }
  const orText = choice === undefined || choice === null || choice === 'auto'
  return {
    options: { schema: { anyOf: callable.map(callSchema) }, orText },
    shown: (messages) => withTools(messages, callable, orText),
  }
}

function callSchema({ function: { name, parameters } }: Tool, index: number): JsonSchema {
  const properties = {
    name: { const: name },
    arguments: moved(parameters ?? { type: 'object' }, `#/anyOf/${index}/properties/arguments`),
  }
  return { type: 'object', properties, required: ['name', 'arguments'] }
}

/** A schema whose references lead within itself, at another place. */
function moved(schema: JsonSchema, place: string): JsonSchema {
  try {
    return JSON.parse(JSON.stringify(schema), (key, value) => {
      const isOwn = key === '$ref' && typeof value === 'string' && value.startsWith('#')
      return isOwn ? place + value.slice(1) : value
    })
  } catch {
    // It came as JSON: only its depth can be in the way, for which there are not enough calls.
    throw badRequest(
      'tools',
      'Expected parameters that are a JSON Schema, got one that is thousands of schemas deep.',
    )
  }
}

/** What a model is told; how it has to say a call holds whatever its template knows of tools. */
function withTools(
  messages: readonly ChatMessage[],
  tools: readonly Tool[],
  orText: boolean,
): readonly ChatMessage[] {
  const described = tools.map(({ function: { name, description, parameters } }) => ({
    name,
    ...(description ? { description } : {}),
    parameters: parameters ?? { type: 'object' },
  }))
  const how = orText
    ? 'To call one of these tools, answer with nothing but its call'
    : 'Answer with a call of one of these tools'
  const told =
    `${how}, as {"name": NAME, "arguments": {...}}:\n` +
    described.map((one) => JSON.stringify(one)).join('\n')
  const names = new Map(
    messages.flatMap(({ tool_calls: calls = [] }) =>
      calls.map((call) => [call.id, call.function.name] as const),
    ),
  )
  const [first, ...rest] = messages.map((message) => asText(message, names))
  if (first?.role === 'system') {
    return [{ ...first, content: `${first.content}\n\n${told}` }, ...rest]
  }
  return [{ role: 'system', content: told }, ...(first === undefined ? [] : [first]), ...rest]
}

/** Calls and what came of them as texts, in the form that the model is asked for. */
function asText(message: ChatMessage, names: ReadonlyMap<string | undefined, string>): ChatMessage {
  const { role, content, tool_call_id: id, tool_calls: calls = [] } = message
  if (role === 'tool') {
    const name = message.name ?? (id === undefined ? undefined : names.get(id))
    return { role: 'user', content: `The tool ${name ?? ''} gave:\n${content}` }
  }
  if (calls.length === 0) return message
  const made = calls.map(({ function: { name: called, arguments: given } }) =>
    JSON.stringify({ name: called, arguments: parsed(given) }),
  )
  return { role, content: [...(content ? [content] : []), ...made].join('\n') }
}

function parsed(given: unknown): unknown {
  if (typeof given !== 'string') return given
  try {
    return JSON.parse(given)
  } catch {
    return given
  }
}

/** The call that an answer is; undefined for text, and for a call that was cut. */
export function callOf(
  use: ToolUse | undefined,
  { value }: GenerateResult,
): ToolCallMade | undefined {
  if (use === undefined || !isObject(value)) return undefined
  return { name: String(value.name), arguments: value.arguments }
}
