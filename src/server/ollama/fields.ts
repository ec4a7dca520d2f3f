/** What Ollama's requests have in common: options by its names, and durations in nanoseconds. */
import { z } from 'zod'
import { withoutUnset } from '../../checks.ts'
import type { GenerateOptions, GenerateResult } from '../../generate/options.ts'
import type { JsonSchema } from '../../generate/schema/answer-schema.ts'
import { stopField } from '../openai/fields.ts'
import { schemaOptions } from '../openai/structure.ts'
import { finishReasonOf } from '../openai/usage.ts'

export const ollamaOptions = z
  .object({
    temperature: z.number().min(0),
    top_k: z.int().min(0),
    top_p: z.number().min(0).max(1),
    min_p: z.number().min(0).lt(1),
    repeat_penalty: z.number().gt(0),
    frequency_penalty: z.number(),
    presence_penalty: z.number(),
    seed: z.int(),
    /** -1 and -2: as long as there is room. */
    num_predict: z.int().min(-2),
    stop: stopField,
  })
  .partial()

/** What both routes that generate have. */
export const generationFields = {
  model: z.string().optional(),
  stream: z.boolean().optional(),
  options: ollamaOptions.nullish(),
  format: z.union([z.enum(['', 'json']), z.record(z.string(), z.unknown())]).nullish(),
  keep_alive: z.unknown().optional(),
  think: z.unknown().optional(),
}

export function optionsOf(fields: {
  readonly options?: z.output<typeof ollamaOptions> | null | undefined
  readonly format?: '' | 'json' | JsonSchema | null | undefined
}): GenerateOptions {
  const { format } = fields
  const given = fields.options ?? {}
  const { stop, seed, num_predict: most, top_p: topP } = given
  const held = format ? schemaOptions(format === 'json' ? undefined : format) : {}
  return withoutUnset({
    ...held,
    temperature: given.temperature,
    topK: given.top_k,
    // Its 0 keeps what ours keeps of the smallest number above it: the likeliest token.
    topP: topP === 0 ? Number.MIN_VALUE : topP,
    minP: given.min_p,
    repetitionPenalty: given.repeat_penalty,
    frequencyPenalty: given.frequency_penalty,
    presencePenalty: given.presence_penalty,
    seed: seed === undefined ? undefined : seed >>> 0,
    maxTokens: most === undefined || most < 1 ? undefined : most,
    stop: typeof stop === 'string' ? [stop] : stop,
  })
}

const NANOSECONDS = 1e6

/** What the last object of an answer says. */
export function closing({ usage, timings, finishReason }: GenerateResult, beganAt: number) {
  return {
    done: true,
    done_reason: finishReasonOf(finishReason),
    total_duration: Math.round((performance.now() - beganAt) * NANOSECONDS),
    load_duration: 0,
    prompt_eval_count: usage.promptTokens,
    prompt_eval_duration: Math.round(timings.prefillMs * NANOSECONDS),
    eval_count: usage.completionTokens,
    eval_duration: Math.round(timings.decodeMs * NANOSECONDS),
  }
}

export const NDJSON_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'application/x-ndjson',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}
