/** A server of models whose answers are known, for tests: asked without a network. */
import { afterEach } from 'vitest'
import type { LanguageModel, Prompt } from '../../src/generate/language-model.ts'
import type { GenerateOptions } from '../../src/generate/options.ts'
import { type BitnetServer, createBitnetServer } from '../../src/server/app.ts'
import type { ServedModel, ServerOptions } from '../../src/server/options.ts'
import { answers, MockEngine } from './mock-engine.ts'
import { mockModel } from './mock-model.ts'

const HOST = 'http://localhost:8080'
export const ANSWER = 'a short answer'
const ASSISTANT = 259
/** Answers conversations; goes on with every other text in the same letter. */
const script = (tokens: readonly number[]) =>
  tokens.includes(ASSISTANT) ? answers(ANSWER)(tokens) : 97

const servers: BitnetServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

export function serve(
  options: Partial<ServerOptions> = {},
  engine: MockEngine = new MockEngine({ script, contextLength: 256 }),
) {
  const model = () => Promise.resolve(mockModel(engine, { defaults: { temperature: 0 } }))
  const server = createBitnetServer({ models: [{ id: 'mock', load: model }], ...options })
  servers.push(server)
  const ask = (path: string, body?: unknown, init: RequestInit = {}) => {
    const headers = { host: 'localhost:8080', 'content-type': 'application/json', ...init.headers }
    const sent =
      body === undefined
        ? {}
        : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }
    return server.fetch(new Request(HOST + path, { ...sent, ...init, headers }))
  }
  return { server, ask }
}

export const hello = { model: 'mock', messages: [{ role: 'user', content: 'hi' }] }

/** The data of a stream of events. */
export async function eventsOf(response: Response): Promise<string[]> {
  const text = await response.text()
  return text.split('\n\n').flatMap((event) => /^data: (.*)$/m.exec(event)?.[1] ?? [])
}

/** A model that writes down the options it is asked with. */
export function recording(): { readonly model: ServedModel; readonly asked: GenerateOptions[] } {
  const asked: GenerateOptions[] = []
  const load = async (): Promise<LanguageModel> => {
    const model = mockModel(new MockEngine({ script: () => 97 }))
    return {
      ...model,
      generate: ((prompt: Prompt, options: GenerateOptions = {}) => {
        asked.push(options)
        return model.generate(prompt, options)
      }) as unknown as LanguageModel['generate'],
    }
  }
  return { model: { id: 'mock', load }, asked }
}
