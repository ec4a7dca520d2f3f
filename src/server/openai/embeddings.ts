/** POST /v1/embeddings, and GET /v1/models. */
import { z } from 'zod'
import { withoutUnset } from '../../checks.ts'
import type { Desk, Turn, Visit } from '../desk.ts'
import { count, parseBody, samplingFields } from './fields.ts'

const MOST_TEXTS = 2048

export const embeddingSchema = z.object({
  model: z.string().optional(),
  input: z.union([z.string(), z.array(z.string()).min(1).max(MOST_TEXTS)]),
  priority: samplingFields.priority,
  deadline: samplingFields.deadline,
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: count,
})

export function embeddings(desk: Desk, visit: Visit, json: unknown): Promise<Response> {
  const body = parseBody(embeddingSchema, json)
  const texts = typeof body.input === 'string' ? [body.input] : body.input
  return desk.answer(visit, body, async (turn) => {
    const { vectors, tokens } = await vectorsOf(turn, texts, body.dimensions)
    const encode = body.encoding_format === 'base64' ? base64Of : (v: Float32Array) => [...v]
    return {
      object: 'list',
      data: vectors.map((v, index) => ({ object: 'embedding', index, embedding: encode(v) })),
      model: turn.modelId,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }
  })
}

/** The vectors of texts, and how many tokens these are. */
export async function vectorsOf(
  { model, job }: Turn,
  texts: readonly string[],
  dimensions: number | undefined,
): Promise<{ readonly vectors: readonly Float32Array[]; readonly tokens: number }> {
  const { signal, client, priority = 0 } = job
  // Of equal requests those for answers go first.
  const options = withoutUnset({ dimensions, signal, client, priority: priority - 1 })
  const vectors = await model.embed(texts, options)
  const tokens = texts.reduce((sum, text) => sum + model.tokenizer.encode(text).length, 0)
  return { vectors, tokens }
}

/** Little-endian float32, as OpenAI's clients ask for it. */
function base64Of(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}

export function modelList(ids: readonly string[], created: number) {
  return { object: 'list', data: ids.map((id) => modelEntry(id, created)) }
}

export function modelEntry(id: string, created: number) {
  return { id, object: 'model', created, owned_by: 'bitnet-ts' }
}
