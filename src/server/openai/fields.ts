/**
 * Fields that OpenAI's requests have in common, and what they mean for a generation. Fields that nobody knows are
 * left alone, as clients send many; those that would change the answer and cannot be had are refused.
 */
import { z } from 'zod'
import { withoutUnset } from '../../checks.ts'
import type { GenerateOptions } from '../../generate/options.ts'
import type { ChatMessage, ToolCall } from '../../tokenizer/text-tokenizer.ts'
import { badRequest, Refusal } from '../refusal.ts'

/** More answers of one request than this are somebody's mistake. */
const MOST_ANSWERS = 16
const MOST_STOPS = 16
/** They are looked for in every token's text. */
const MOST_STOP_CHARS = 1000
/** More turns than a context has room for. */
const MOST_MESSAGES = 10_000

const nullish = <T extends z.ZodType>(type: T) =>
  type.nullish().transform((value) => value ?? undefined)

export const count = nullish(z.int().min(1))

const stopText = z.string().max(MOST_STOP_CHARS)
/** Where an answer ends. */
export const stopField = z.union([stopText, z.array(stopText).max(MOST_STOPS)])

/** OpenAI's own bounds of what is added to a logit, and a bound of how many. */
const MOST_BIAS = 100
const MOST_BIASES = 1024
const MOST_PRIORITY = 1000
const MOST_SECONDS = 24 * 3600
const tokenId = z.string().regex(/^\d{1,9}$/)

/** What all of them say of sampling; ours beside OpenAI's own. */
export const samplingFields = {
  temperature: nullish(z.number().min(0).max(2)),
  top_p: nullish(z.number().gt(0).max(1)),
  top_k: nullish(z.int().min(0)),
  min_p: nullish(z.number().min(0).lt(1)),
  frequency_penalty: nullish(z.number().min(-2).max(2)),
  presence_penalty: nullish(z.number().min(-2).max(2)),
  repetition_penalty: nullish(z.number().gt(0)),
  seed: nullish(z.int()),
  stop: nullish(stopField),
  logit_bias: nullish(z.record(tokenId, z.number().min(-MOST_BIAS).max(MOST_BIAS))),
  n: nullish(z.int().min(1).max(MOST_ANSWERS)),
  stream: nullish(z.boolean()),
  stream_options: nullish(z.object({ include_usage: nullish(z.boolean()) })),
  user: nullish(z.string()),
  /** Ours: below 0 lets others go first. */
  priority: nullish(z.int().max(MOST_PRIORITY).min(-MOST_PRIORITY)),
  /** Ours: seconds from the request on, after which the answer ends as it is; of equal priority the sooner goes first. */
  deadline: nullish(z.number().gt(0).max(MOST_SECONDS)),
}
const sampling = z.object(samplingFields)
export type Sampling = z.output<typeof sampling>

const textPart = z.object({ type: z.enum(['text', 'input_text', 'output_text']), text: z.string() })
export const content = z.union([z.string(), z.array(textPart)])
const toolCall = z.object({
  id: z.string().optional(),
  type: z.string().optional(),
  function: z.object({ name: z.string(), arguments: z.unknown() }),
})

export const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: content.nullish(),
  name: z.string().optional(),
  tool_calls: z.array(toolCall).optional(),
  tool_call_id: z.string().optional(),
})

/** A conversation, or whatever a dialect calls its turns. */
export const turnsOf = <T extends z.ZodType>(turn: T) => z.array(turn).min(1).max(MOST_MESSAGES)

/** A message as chat templates know it: one text, and no "developer", which is OpenAI's later word for system. */
export function toChatMessage(given: z.output<typeof message>): ChatMessage {
  const { role, content: said, name, tool_calls, tool_call_id } = given
  return {
    role: role === 'developer' ? 'system' : role,
    content: textOf(said ?? ''),
    ...(name === undefined ? {} : { name }),
    ...(tool_calls === undefined ? {} : { tool_calls: tool_calls as readonly ToolCall[] }),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
  }
}

function textOf(said: z.output<typeof content>): string {
  return typeof said === 'string' ? said : said.map(({ text }) => text).join('')
}

/** Seeds of ours are 32 bits. */
export function generateOptions(fields: Partial<Sampling>): GenerateOptions {
  const { stop, seed } = fields
  const biases = Object.entries(fields.logit_bias ?? {})
  if (biases.length > MOST_BIASES) {
    const expected = `Expected at most ${MOST_BIASES} tokens in logit_bias`
    throw badRequest('logit_bias', `${expected}, got ${biases.length}.`)
  }
  const options = {
    temperature: fields.temperature,
    topP: fields.top_p,
    topK: fields.top_k,
    minP: fields.min_p,
    frequencyPenalty: fields.frequency_penalty,
    presencePenalty: fields.presence_penalty,
    repetitionPenalty: fields.repetition_penalty,
    seed: seed === undefined ? undefined : seed >>> 0,
    stop: typeof stop === 'string' ? [stop] : stop,
    logitBias:
      biases.length === 0
        ? undefined
        : Object.fromEntries(biases.map(([id, bias]) => [Number(id), bias])),
  }
  return withoutUnset(options)
}

/**
 * A request's body by its schema.
 *
 * @throws Refusal (400) naming the first field at fault
 */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const issue = furthest(parsed.error.issues[0])
  const param = issue.path.map(String).join('.')
  const where = param === '' ? 'the body' : param
  const detail = `Expected ${where} to be as the API has it: ${issue.message}.`
  throw new Refusal(400, 'invalid_value', detail, { param: param === '' ? undefined : param })
}

/** Of what may be one thing or another, what is wrong with the one that it is the most like. */
function furthest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const [inner] = issue.errors
    .toSorted((a, b) => a.length - b.length)
    .flatMap(([first]) => (first === undefined ? [] : [furthest(first)]))
    .toSorted((a, b) => alike(b) - alike(a))
  return inner === undefined ? issue : { ...inner, path: [...issue.path, ...inner.path] }
}

/** How far it went before it was wrong; not to be of the right type at all is the least. */
function alike({ code, path }: z.core.$ZodIssue): number {
  return path.length + (code === 'invalid_type' ? 0 : 0.5)
}

/** Ids of answers, of the kind that clients expect. */
export function newId(prefix: string): string {
  return `${prefix}-${crypto.randomUUID().replaceAll('-', '')}`
}

/** Seconds since 1970. */
export function createdNow(): number {
  return Math.floor(Date.now() / 1000)
}
