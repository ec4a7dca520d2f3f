/** POST /v1/completions: a text is continued, without a chat template. */
import { z } from 'zod'
import type { GenerateOptions, GenerateResult, TokenLogprobs } from '../../generate/options.ts'
import { type Answer, type Desk, resultOf, type Turn, type Visit } from '../desk.ts'
import { badRequest } from '../refusal.ts'
import { EVENT_STREAM_HEADERS, serverSentEvent } from '../stream.ts'
import { answerOptions } from './chat-completions.ts'
import { count, createdNow, generateOptions, newId, parseBody, samplingFields } from './fields.ts'
import { merged } from './merged.ts'
import { finishReasonOf, usageOf } from './usage.ts'

const MOST_PROMPTS = 64

export const completionSchema = z.object({
  model: z.string().optional(),
  prompt: z.union([z.string(), z.array(z.string()).min(1).max(MOST_PROMPTS)]),
  ...samplingFields,
  max_tokens: count,
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  best_of: z.int().nullish(),
})
type Body = z.output<typeof completionSchema>

/** OpenAI's own, where a request names no length. */
const DEFAULT_TOKENS = 16

interface Asked {
  readonly prompt: string
  readonly answer: Answer
}

export async function completion(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(completionSchema, json)
  if (body.suffix)
    throw badRequest('suffix', 'Expected no suffix, which no model here can fill to.')
  const n = body.n ?? 1
  if ((body.best_of ?? n) !== n) throw badRequest('best_of', 'Expected best_of to be n, or unset.')
  const prompts = typeof body.prompt === 'string' ? [body.prompt] : body.prompt
  if (prompts.length * n > MOST_PROMPTS) {
    throw badRequest('n', `Expected at most ${MOST_PROMPTS} answers, got ${prompts.length * n}.`)
  }
  const options = optionsOf(body)
  const ask = (turn: Turn): Asked[] =>
    prompts.flatMap((prompt) =>
      Array.from({ length: n }, (_, i) => ({
        prompt,
        answer: turn.answer(prompt, answerOptions(options, i)),
      })),
    )
  const head = { id: newId('cmpl'), object: 'text_completion', created: createdNow() }
  if (body.stream === true) {
    return desk.stream(visit, body, EVENT_STREAM_HEADERS, (turn) =>
      events({ ...head, model: turn.modelId }, ask(turn), body),
    )
  }
  return desk.answer(visit, body, async (turn) => {
    const asked = ask(turn)
    const results = await Promise.all(asked.map(({ answer }) => resultOf(answer)))
    return {
      ...head,
      model: turn.modelId,
      choices: results.map((result, index) => ({
        index,
        text: (body.echo === true ? asked[index].prompt : '') + result.text,
        logprobs: logprobsOf(result.logprobs),
        finish_reason: finishReasonOf(result.finishReason),
      })),
      usage: usageOfAll(results, n),
    }
  })
}

function optionsOf(body: Body): GenerateOptions {
  return {
    ...generateOptions(body),
    maxTokens: body.max_tokens ?? DEFAULT_TOKENS,
    ...(typeof body.logprobs === 'number' ? { logprobs: body.logprobs } : {}),
  }
}

/** Each prompt is counted once. */
function usageOfAll(results: readonly GenerateResult[], n: number) {
  const groups = results.filter((_, i) => i % n === 0)
  const prompt_tokens = groups.reduce((sum, { usage }) => sum + usage.promptTokens, 0)
  const { completion_tokens, prompt_tokens_details } = usageOf(results)
  const total_tokens = prompt_tokens + completion_tokens
  return { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details }
}

/**
 * As this older route has them: four lists side by side.
 *
 * @param offset of the first token's text in the answer
 */
function logprobsOf(logprobs: readonly TokenLogprobs[] | undefined, offset = 0) {
  if (logprobs === undefined) return null
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: logprobs.map(({ token }) => {
      offset += token.length
      return offset - token.length
    }),
  }
}

async function* events(
  base: object,
  asked: readonly Asked[],
  body: Body,
): AsyncGenerator<string, void> {
  const includeUsage = body.stream_options?.include_usage === true
  const usage = includeUsage ? { usage: null } : {}
  const results: GenerateResult[] = []
  /** Characters of each answer's tokens so far. */
  const offsets = asked.map(() => 0)
  const echoed = new Set<number>()
  for await (const { index, token, result } of merged(asked.map(({ answer }) => answer))) {
    const before = body.echo === true && !echoed.has(index) ? asked[index].prompt : ''
    echoed.add(index)
    if (result !== undefined) results[index] = result
    const { text = '', logprobs } = token ?? {}
    const choice = {
      index,
      text: before + text,
      logprobs: logprobsOf(logprobs && [logprobs], offsets[index]),
      finish_reason: result === undefined ? null : finishReasonOf(result.finishReason),
    }
    offsets[index] += logprobs?.token.length ?? 0
    yield serverSentEvent({ ...base, choices: [choice], ...usage })
  }
  if (includeUsage) {
    yield serverSentEvent({ ...base, choices: [], usage: usageOfAll(results, body.n ?? 1) })
  }
  yield serverSentEvent('[DONE]')
}
