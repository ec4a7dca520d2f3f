/**
 * A LanguageModel that echoes: it answers with the words of the prompt, one a token, and records
 * what it was asked. With it the command line is tested in this process, without weights.
 */
import { PassThrough } from 'node:stream'
import type { Surroundings } from '../../src/cli/console/surroundings.ts'
import type { ChatSession, LanguageModel, Prompt } from '../../src/generate/language-model.ts'
import type { LoadOptions, ModelSource } from '../../src/generate/load/load-options.ts'
import type { GenerateOptions, GenerateResult, Generation } from '../../src/generate/options.ts'
import type {
  ChatMessage,
  GivenMessage,
  TextTokenizer,
} from '../../src/tokenizer/text-tokenizer.ts'
import { MOCK_CONFIG } from './mock-engine.ts'

const BACKEND = { name: 'mock', isa: 'none', threads: 1, description: 'mock backend' }

const TOKENIZER: TextTokenizer = {
  vocabSize: 10,
  bosId: 0,
  stopIds: [1],
  description: 'mock vocabulary',
  chatTemplate: '{{ messages }}',
  encode: (text) => Array.from(text, () => 2),
  decode: () => '',
  tokenText: () => '',
  tokenBytes: () => new Uint8Array(0),
  stream: () => ({ push: () => '', end: () => '' }),
  *encodeSteps(text) {
    yield
    return this.encode(text)
  },
  encodeChat: () => [],
  *encodeChatSteps() {
    yield
    return []
  },
}

const IDLE: ReturnType<LanguageModel['stats']> = {
  waiting: 0,
  running: 0,
  paused: 0,
  passes: 0,
  rows: 0,
  rowsPerPass: 0,
  passMs: 0,
  begun: 0,
  preempted: 0,
  waitMs: 0,
  longestWaitMs: 0,
  cache: {
    sequences: 0,
    blocks: 0,
    free: 0,
    kept: 0,
    shared: 0,
    opened: 0,
    hits: 0,
    hitTokens: 0,
    copied: 0,
    evicted: 0,
  },
}

export interface MockCalls {
  readonly loads: { source: ModelSource | undefined; options: LoadOptions | undefined }[]
  readonly prompts: Prompt[]
  readonly options: GenerateOptions[]
  disposed: number
}

export interface MockSurroundings extends Surroundings {
  readonly calls: MockCalls
  /** Presses Ctrl-C. */
  interrupt(): void
  out(): string
  err(): string
  readonly stdin: PassThrough
}

export interface MockOptions {
  readonly input?: string
  readonly env?: Record<string, string>
  readonly chatTemplate?: string | undefined
  /** Of the model. */
  readonly name?: string
  /** Ends every text at once. */
  readonly isSilent?: boolean
  /** Milliseconds before each word. */
  readonly delay?: number
  readonly loadError?: Error
  readonly generateError?: Error
}

export function mockSurroundings(mock: MockOptions = {}): MockSurroundings {
  const calls: MockCalls = { loads: [], prompts: [], options: [], disposed: 0 }
  const handlers = new Set<() => void>()
  const stdin = new PassThrough()
  if (mock.input !== undefined) stdin.end(mock.input)
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() }
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    streams[name].on('data', (chunk: Buffer) => {
      text[name] += chunk.toString('utf8')
    })
  }
  return {
    ...streams,
    stdin,
    env: mock.env ?? {},
    calls,
    loadModel: async (source, options) => {
      calls.loads.push({ source, options })
      if (mock.loadError !== undefined) throw mock.loadError
      return mockModel(calls, mock)
    },
    loadEngine: async () => {
      throw new Error('This mock has no engine.')
    },
    onInterrupt: (handler) => {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
    interrupt: () => {
      for (const handler of [...handlers]) handler()
    },
    out: () => text.stdout,
    err: () => text.stderr,
  }
}

function mockModel(calls: MockCalls, mock: MockOptions): LanguageModel {
  const generate = (prompt: Prompt, options: GenerateOptions = {}): Generation<never> => {
    calls.prompts.push(prompt)
    calls.options.push(options)
    return echo(prompt, options, mock)
  }
  const dispose = async (): Promise<void> => {
    calls.disposed++
  }
  return {
    name: mock.name ?? 'mock-model',
    config: { ...MOCK_CONFIG, name: 'mock-model', contextLength: 100 },
    contextLength: 100,
    tokenizer:
      'chatTemplate' in mock ? { ...TOKENIZER, chatTemplate: mock.chatTemplate } : TOKENIZER,
    backend: BACKEND,
    memory: { ternaryBytes: 1, denseBytes: 2, activationBytes: 3, cacheBytesPerToken: 4 },
    loadMs: 5,
    warnings: [],
    defaults: {
      temperature: 0.7,
      topK: 0,
      topP: 0.9,
      minP: 0,
      repetitionPenalty: 1.1,
      frequencyPenalty: 0,
      presencePenalty: 0,
    },
    generate: generate as unknown as LanguageModel['generate'],
    generateBatch: (prompts, options) =>
      Promise.all(prompts.map((prompt) => generate(prompt, options).result)),
    embed: async (texts, options) => texts.map((text) => mockVector(text, options?.dimensions)),
    chat: (options) => mockChat(generate, options),
    saveState: () => Promise.reject(new Error('This mock saves nothing.')),
    loadState: () => Promise.reject(new Error('This mock loads nothing.')),
    ffnZeros: async () => [],
    stats: () => IDLE,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

/** Points to where the text's first letter is in the alphabet, on a quarter of a circle. */
function mockVector(text: string, dimensions = 2): Float32Array {
  const angle = ((text.charCodeAt(0) - 97) / 25) * (Math.PI / 2)
  return Float32Array.of(Math.cos(angle), Math.sin(angle)).subarray(0, dimensions)
}

function mockChat(
  generate: (prompt: Prompt, options?: GenerateOptions) => Generation,
  { system, messages: start = [] }: { system?: string; messages?: readonly GivenMessage[] } = {},
): ChatSession {
  const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
  let messages = [...opening, ...start] as ChatMessage[]
  return {
    get messages() {
      return messages
    },
    send: (content, options) => {
      messages.push({ role: 'user', content })
      const generation = generate([...messages], options)
      generation.result.then(
        ({ text }) => messages.push({ role: 'assistant', content: text }),
        () => messages.pop(),
      )
      return generation
    },
    restore: (restored) => {
      messages = [...restored] as ChatMessage[]
    },
    reset: () => {
      messages = messages.filter(({ role }) => role === 'system')
    },
    undo: () => {
      const last = messages.findLastIndex(({ role }) => role === 'user')
      return last < 0 ? undefined : messages.splice(last)[0].content
    },
    forgotten: 0,
    saveState: () => Promise.reject(new Error('This mock saves nothing.')),
    loadState: () => Promise.reject(new Error('This mock loads nothing.')),
    dispose: () => {},
  }
}

/** Words of the text, or of the conversation's last message, until the signal or maxTokens. */
function echo(prompt: Prompt, options: GenerateOptions, mock: MockOptions): Generation<never> {
  const last = typeof prompt === 'string' ? prompt : prompt.at(-1)?.content
  const source = typeof last === 'string' ? last : ''
  const words = mock.isSilent ? [] : (source.match(/\S+\s*/g) ?? [])
  const taken = words.slice(0, options.maxTokens)
  const said: string[] = []
  const { promise, resolve, reject } = withResolvers<GenerateResult<never>>()
  promise.catch(() => {})
  const pieces = (async function* () {
    if (mock.generateError !== undefined) {
      reject(mock.generateError)
      throw mock.generateError
    }
    for (const word of taken) {
      if (mock.delay !== undefined) await new Promise((wake) => setTimeout(wake, mock.delay))
      if (options.signal?.aborted) break
      said.push(word)
      yield word
    }
    const cut = taken.length < words.length ? 'length' : 'stop'
    resolve(resultOf(said, options.signal?.aborted ? 'cancelled' : cut, options.seed ?? 7))
  })()
  const queue: string[] = []
  const pump = (async () => {
    for await (const piece of pieces) queue.push(piece)
  })()
  pump.catch(() => {})
  const read = {
    async *[Symbol.asyncIterator]() {
      let at = 0
      let isDone = false
      pump.then(
        () => {
          isDone = true
        },
        () => {
          isDone = true
        },
      )
      while (!isDone || at < queue.length) {
        if (at < queue.length) yield queue[at++]
        else await new Promise((wake) => setTimeout(wake, 1))
      }
      await pump
    },
  }
  return {
    ...read,
    result: promise,
    tokens: () => ({
      async *[Symbol.asyncIterator]() {
        for await (const text of read) yield { text }
      },
    }),
  }
}

function withResolvers<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: unknown) => void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((ok, fail) => {
    resolve = ok
    reject = fail
  })
  return { promise, resolve, reject }
}

function resultOf(
  said: readonly string[],
  finishReason: GenerateResult['finishReason'],
  seed: number,
): GenerateResult<never> {
  const completionTokens = said.length
  return {
    text: said.join(''),
    tokenIds: said.map((_, i) => i),
    promptTokenIds: [0],
    finishReason,
    usage: {
      promptTokens: 1,
      completionTokens,
      totalTokens: 1 + completionTokens,
      cachedTokens: 0,
    },
    timings: {
      loadMs: 5,
      prefillMs: 1,
      decodeMs: 2,
      prefillTokensPerSecond: 1000,
      decodeTokensPerSecond: 500,
    },
    backend: BACKEND,
    seed,
  }
}
