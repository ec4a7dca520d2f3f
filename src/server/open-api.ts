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

/** Routes without a body of JSON, by what is in their paths. */
const OTHERS: readonly (readonly [method: string, path: string, summary: string])[] = [
  ['get', '/v1/models', 'The models that requests can name'],
  ['get', '/v1/models/{id}', 'One of them'],
  ['get', '/v1/files', 'Files of batches, if the server keeps some'],
  ['get', '/v1/files/{id}', 'One of them'],
  ['get', '/v1/files/{id}/content', 'What is in it'],
  ['delete', '/v1/files/{id}', 'Delete it'],
  ['get', '/v1/batches', 'Batches, if the server keeps some'],
  ['get', '/v1/batches/{id}', 'One of them'],
  ['post', '/v1/batches/{id}/cancel', 'Let no more of its requests begin'],
  ['get', '/api/tags', 'The models, in the dialect of Ollama'],
  ['get', '/api/version', 'Which version answers'],
  ['get', '/healthz', 'Whether the server lives'],
  ['get', '/readyz', 'Whether it takes requests'],
  ['get', '/metrics', 'Figures for Prometheus'],
]

/** What a request gets that is not answered, whichever dialect it speaks. */
const ERROR = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: 'string' },
      },
    },
  },
}

const FILE = {
  type: 'object',
  required: ['file', 'purpose'],
  properties: { file: { type: 'string', format: 'binary' }, purpose: { type: 'string' } },
}

/** @param hasKeys whether a request has to show one */
export function openApi(models: readonly string[], hasKeys: boolean) {
  const failed = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  const responses = {
    200: { description: 'As the API has it' },
    default: { description: 'Why there is no answer', content: failed },
  }
  const paths: Record<string, object> = {}
  const add = (path: string, operation: object): void => {
    paths[path] = { ...paths[path], ...operation }
  }
  for (const [path, summary, schema] of POSTS) {
    const json = { schema: z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) }
    const requestBody = { required: true, content: { 'application/json': json } }
    add(path, { post: { summary, requestBody, responses } })
  }
  for (const [method, path, summary] of OTHERS) {
    const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } }
    const parameters = path.includes('{id}') ? [id] : []
    add(path, { [method]: { summary, parameters, responses } })
  }
  const upload = { required: true, content: { 'multipart/form-data': { schema: FILE } } }
  const summary = 'Keep a file of requests, a line each, if the server keeps batches'
  add('/v1/files', { post: { summary, requestBody: upload, responses } })
  return {
    openapi: '3.1.0',
    info: { title: 'bitnet-ts', version: '1', description: `Models: ${models.join(', ')}` },
    paths,
    ...(hasKeys ? { security: [{ key: [] }] } : {}),
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: ERROR },
    },
  }
}
