/** POST /api/embed, and what Ollama's clients ask about models. */
import { z } from 'zod'
import type { Desk, Visit } from '../desk.ts'
import { vectorsOf } from '../openai/embeddings.ts'
import { count, parseBody } from '../openai/fields.ts'

export const embedSchema = z.object({
  model: z.string().optional(),
  input: z.union([z.string(), z.array(z.string()).min(1).max(2048)]),
  truncate: z.boolean().nullish(),
  dimensions: count,
})

export function embed(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(embedSchema, json)
  const texts = typeof body.input === 'string' ? [body.input] : body.input
  return desk.answer(visit, body, async (turn) => {
    const { vectors, tokens } = await vectorsOf(turn, texts, body.dimensions)
    return {
      model: turn.modelId,
      embeddings: vectors.map((vector) => [...vector]),
      total_duration: Math.round((performance.now() - visit.beganAt) * 1e6),
      load_duration: 0,
      prompt_eval_count: tokens,
    }
  })
}

export function tags(ids: readonly string[], startedAt: Date) {
  return {
    models: ids.map((id) => ({
      name: id,
      model: id,
      modified_at: startedAt.toISOString(),
      size: 0,
      digest: '',
      details: {
        format: 'bitnet',
        family: 'bitnet',
        families: ['bitnet'],
        parameter_size: '',
        quantization_level: 'b1.58',
      },
    })),
  }
}
