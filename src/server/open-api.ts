/** The routes in OpenAPI's form, made from the schemas that requests are checked by. */
import { z } from 'zod'
import { batchSchema } from './batch/routes.ts'
import { chatSchema, generateSchema } from './ollama/generation.ts'
import { embedSchema } from './ollama/models.ts'
import { chatCompletionSchema } from './openai/chat-completions.ts'
import { completionSchema } from './openai/completions.ts'
import { embeddingSchema } from './openai/embeddings.ts'
import { responseSchema } from './openai/responses.ts'

const POSTS: readonly (readonly [path: string, summary: string, schema: z.ZodType])[] = [
  ['/v1/chat/completions', 'Answer a conversation', chatCompletionSchema],
  ['/v1/completions', 'Continue a text', completionSchema],
  ['/v1/responses', 'Answer an input', responseSchema],
  ['/v1/embeddings', 'Vectors of texts', embeddingSchema],
  ['/v1/batches', 'Work on a file of requests, if the server keeps batches', batchSchema],
  ['/api/chat', 'Answer a conversation, in the dialect of Ollama', chatSchema],
  ['/api/generate', 'Answer a prompt, in the dialect of Ollama', generateSchema],
  ['/api/embed', 'Vectors of texts, in the dialect of Ollama', embedSchema],
]

const GETS: readonly (readonly [path: string, summary: string])[] = [
  ['/v1/models', 'The models that requests can name'],
  ['/v1/files', 'Files of batches, if the server keeps some'],
  ['/v1/batches', 'Batches, if the server keeps some'],
  ['/api/tags', 'The same, in the dialect of Ollama'],
  ['/healthz', 'Whether the server lives'],
  ['/readyz', 'Whether it takes requests'],
  ['/metrics', 'Figures for Prometheus'],
]

export function openApi(models: readonly string[]) {
  const responses = { 200: { description: 'As the API has it' } }
  const paths: Record<string, object> = {}
  const add = (path: string, operation: object): void => {
    paths[path] = { ...paths[path], ...operation }
  }
  for (const [path, summary, schema] of POSTS) {
    const json = { schema: z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) }
    const requestBody = { required: true, content: { 'application/json': json } }
    add(path, { post: { summary, requestBody, responses } })
  }
  for (const [path, summary] of GETS) add(path, { get: { summary, responses } })
  return {
    openapi: '3.1.0',
    info: { title: 'bitnet-ts', version: '1', description: `Models: ${models.join(', ')}` },
    paths,
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
  }
}
