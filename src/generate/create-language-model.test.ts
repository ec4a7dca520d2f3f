// Generation from prompt to result, on a mock engine: what ends it, what is counted, what is freed.
import { describe, expect, test, vi } from 'vitest'
import { answers, BOS, ByteTokenizer, EOT, MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import type { EncodeOptions } from '../tokenizer/text-tokenizer.ts'
import type { LanguageModel } from './language-model.ts'

const backend = { name: 'reference', isa: 'typescript', threads: 1, description: 'mock' }

function modelOf(engine: MockEngine, onDispose: () => void = () => {}): LanguageModel {
  return mockModel(engine, { loadMs: 12, dispose: onDispose })
}

/** An id that stands for no text. */
const SPECIAL = 258

/** Knows the name of that token, and hides it in texts. */
class NamingTokenizer extends ByteTokenizer {
  override encode(text: string, options: EncodeOptions = {}): number[] {
    if (!options.parseSpecial) return super.encode(text, options)
    const parts = text.split('<|x|>').map((part) => super.encode(part, { addBos: false }))
    return parts.flatMap((ids, i) => (i === 0 ? ids : [SPECIAL, ...ids]))
  }

  override decode(ids: ArrayLike<number>, { skipSpecial = true } = {}): string {
    return Array.from(ids, (id) =>
      id === SPECIAL && !skipSpecial ? '<|x|>' : super.decode([id]),
    ).join('')
  }
}

const chat = [{ role: 'user', content: 'hi' }] as const

describe('generate', () => {
  test('continues a text and reports what happened', async () => {
    const engine = new MockEngine()
    const generation = modelOf(engine).generate('Once', { maxTokens: 5, seed: 3 })
    let streamed = ''
    for await (const piece of generation) streamed += piece
    const result = await generation.result
    expect(result.text).toBe(streamed)
    expect(result.text).toHaveLength(5)
    expect(result.promptTokenIds).toEqual([BOS, 79, 110, 99, 101])
    expect(result).toMatchObject({
      finishReason: 'length',
      seed: 3,
      backend,
      usage: { promptTokens: 5, completionTokens: 5, totalTokens: 10, cachedTokens: 0 },
      timings: { loadMs: 12 },
    })
    expect(new TextDecoder().decode(Uint8Array.from(result.tokenIds))).toBe(streamed)
    expect(result.timings.prefillTokensPerSecond).toBeGreaterThan(0)
    expect(result.timings.decodeTokensPerSecond).toBeGreaterThan(0)
    // The last token of an answer is drawn, and never fed.
    expect(engine.passes.map((pass) => pass.rows)).toEqual([5, 1, 1, 1, 1])
  })

  test('gives the probabilities of its tokens if they are asked for, and the same text', async () => {
    const model = modelOf(new MockEngine())
    const plain = await model.generate('x', { maxTokens: 6, seed: 2 }).result
    expect(plain).not.toHaveProperty('logprobs')
    const result = await model.generate('x', { maxTokens: 6, seed: 2, logprobs: 3 }).result
    expect(result.tokenIds).toEqual(plain.tokenIds)
    expect(result.logprobs?.map(({ id }) => id)).toEqual(result.tokenIds)
    for (const { logprob, top } of result.logprobs ?? []) {
      expect(top).toHaveLength(3)
      expect(logprob).toBeLessThanOrEqual(top[0].logprob)
      expect(top[0].logprob).toBeLessThanOrEqual(0)
    }
    const refused = model.generate('x', { logprobs: 21 }).result
    await expect(refused).rejects.toThrow(
      'Expected logprobs to be an integer from 0 to 20, got 21.',
    )
  })

  test('repeats itself for the seed that it reports', async () => {
    const model = modelOf(new MockEngine())
    const first = await model.generate('x', { maxTokens: 20 }).result
    const again = await model.generate('x', { maxTokens: 20, seed: first.seed }).result
    expect(again.text).toBe(first.text)
    const other = await model.generate('x', { maxTokens: 20, seed: first.seed + 1 }).result
    expect(other.text).not.toBe(first.text)
  })

  test('ends at an end token, which is in neither text nor ids', async () => {
    const engine = new MockEngine({ script: answers('hello') })
    const result = await modelOf(engine).generate(chat, {}).result
    expect(result).toMatchObject({ text: 'hello', finishReason: 'stop' })
    expect(result.tokenIds).toEqual([...new TextEncoder().encode('hello')])
    expect(result.promptTokenIds.at(-2)).toBe(EOT)
  })

  test('ends before a stop string and emits no part of it', async () => {
    const engine = new MockEngine({ script: answers('one\nUsers, two\nUser: x') })
    const generation = modelOf(engine).generate(chat, { stop: ['\nUser:'] })
    const pieces: string[] = []
    for await (const piece of generation) pieces.push(piece)
    expect(pieces.join('')).toBe('one\nUsers, two')
    expect(pieces).toContain('\nUsers')
    expect((await generation.result).finishReason).toBe('stop')
  })

  test.each([['<|x|>'], ['b<|x|>\n'], ['<|x|>\nc']])(
    'ends before the stop string %j, in which there is a special token',
    async (stop) => {
      const [before] = `ab<|x|>\ncd`.split(stop)
      const ids = [97, 98, SPECIAL, 10, 99, 100]
      const engine = new MockEngine({ script: answers(ids) })
      const model = mockModel(engine, { tokenizer: new NamingTokenizer() })
      const { text, finishReason, tokenIds } = await model.generate(chat, { stop: [stop] }).result
      expect({ text, finishReason }).toEqual({ text: before, finishReason: 'stop' })
      expect(tokenIds.length).toBeLessThan(ids.length)
      // Whoever does not ask for it sees nothing of it.
      const whole = await model.generate(chat, { stop: ['<|y|>', '<|x|>d'] }).result
      expect(whole.text).toBe('ab\ncd')
    },
  )

  test('emits at the end what might have become a stop string', async () => {
    const engine = new MockEngine({ script: answers('so EN') })
    const result = await modelOf(engine).generate(chat, { stop: ['END'] }).result
    expect(result.text).toBe('so EN')
  })

  test('never emits half a character', async () => {
    const engine = new MockEngine({ script: answers('日本') })
    const generation = modelOf(engine).generate(chat)
    const pieces: string[] = []
    for await (const piece of generation) pieces.push(piece)
    expect(pieces).toEqual(['日', '本'])
    const cut = await modelOf(engine).generate(chat, { maxTokens: 4 }).result
    expect(cut.text).toBe('日\ufffd')
  })

  test('feeds a long prompt in pieces and gives the same text for any size of them', async () => {
    const prompt = 'a prompt that is longer than one pass'
    const texts = new Set<string>()
    for (const maxRows of [1, 7, 64]) {
      const engine = new MockEngine({ maxRows })
      texts.add((await modelOf(engine).generate(prompt, { maxTokens: 9, seed: 1 }).result).text)
      expect(Math.max(...engine.passes.map((pass) => pass.rows))).toBe(Math.min(maxRows, 38))
    }
    expect(texts.size).toBe(1)
  })

  test('penalises tokens of the prompt', async () => {
    const script = (tokens: readonly number[]) => (tokens.at(-1) === BOS ? 120 : undefined)
    const greedy = { temperature: 0, maxTokens: 30, repetitionPenalty: 1e9 }
    const result = await modelOf(new MockEngine({ script })).generate('aeiou', greedy).result
    expect(result.text).not.toMatch(/[aeiou]/)
    expect(new Set(result.text).size).toBe(result.text.length)
  })

  test('cuts the answer to what the context leaves', async () => {
    const model = modelOf(new MockEngine({ contextLength: 20 }))
    const result = await model.generate('123456789', { maxTokens: 100 }).result
    expect(result.finishReason).toBe('length')
    expect(result.usage).toMatchObject({ promptTokens: 10, completionTokens: 10, totalTokens: 20 })
  })

  test('a text is as long as memory allows where that is less than the context', async () => {
    const model = modelOf(new MockEngine({ contextLength: 512, blocks: 1 }))
    expect(model.contextLength).toBe(256)
    const result = await model.generate('x'.repeat(250), { maxTokens: 100 }).result
    expect(result.usage.totalTokens).toBe(256)
    await expect(model.embed(['x'.repeat(300)])).rejects.toThrow('a context of 256 tokens')
  })

  test('refuses a prompt that leaves no room for an answer, before any work', async () => {
    const engine = new MockEngine({ contextLength: 20 })
    const refused = modelOf(engine).generate('x'.repeat(19)).result
    await expect(refused).rejects.toThrow(ContextOverflowError)
    await expect(refused).rejects.toMatchObject({ needed: 21, available: 20 })
    expect(engine.passes).toEqual([])
    expect((await modelOf(engine).generate('x'.repeat(18)).result).tokenIds).toHaveLength(1)
  })

  test.each<[unknown, string]>([
    [42, 'Expected prompt to be an array of messages, got 42.'],
    [[], 'Expected at least one message, got none.'],
    [[{ role: 'developer', content: '' }], 'Expected prompt[0].role to be "system", "user", "assi'],
    [[{ role: 'tool', content: null }], 'Expected prompt[0].content to be a string, got null.'],
    [[{ role: 'user' }], 'Expected prompt[0].content to be a string, got undefined.'],
  ])('refuses %j as a prompt', async (prompt, message) => {
    const refused = modelOf(new MockEngine()).generate(prompt as string).result
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow(message)
  })
})

describe('cancelling', () => {
  test('in the middle of a prompt resolves with no text', async () => {
    const engine = new MockEngine({ maxRows: 4 })
    const controller = new AbortController()
    engine.beforePass = (pass) => (pass === 1 ? controller.abort() : undefined)
    const { signal } = controller
    const result = await modelOf(engine).generate('x'.repeat(40), { signal }).result
    expect(result).toMatchObject({ text: '', finishReason: 'cancelled', tokenIds: [] })
    expect(engine.passes).toHaveLength(2)
  })

  test('by breaking off the reading keeps the text so far in the result', async () => {
    const generation = modelOf(new MockEngine()).generate('x', { maxTokens: 100 })
    let read = ''
    for await (const piece of generation) {
      read += piece
      if (read.length === 3) break
    }
    const result = await generation.result
    expect(result.finishReason).toBe('cancelled')
    expect(result.text.startsWith(read)).toBe(true)
    expect(result.usage.completionTokens).toBeLessThan(10)
  })

  test('while another generation has the engine does not wait for its turn', async () => {
    const engine = new MockEngine()
    const model = modelOf(engine)
    let open = () => {}
    engine.beforePass = () => new Promise<void>((resolve) => (open = resolve))
    const first = model.generate('x', { maxTokens: 1 })
    const controller = new AbortController()
    const second = model.generate('y', { signal: controller.signal })
    controller.abort()
    expect((await second.result).finishReason).toBe('cancelled')
    open()
    expect((await first.result).finishReason).toBe('length')
  })
})

describe('generations side by side', () => {
  test('share passes and give what each gives alone', async () => {
    const alone = modelOf(new MockEngine())
    const options = { maxTokens: 12, seed: 4 }
    const texts = ['ka', 'kb', 'kc']
    const expected: string[] = []
    for (const text of texts) expected.push((await alone.generate(text, options).result).text)
    const engine = new MockEngine()
    const model = modelOf(engine)
    const results = await Promise.all(texts.map((text) => model.generate(text, options).result))
    expect(results.map((result) => result.text)).toEqual(expected)
    expect(engine.passes).toHaveLength(12)
  })

  test('go on after a pass that failed once', async () => {
    const engine = new MockEngine()
    const model = modelOf(engine)
    engine.beforePass = (pass) => {
      if (pass === 2) {
        engine.beforePass = () => undefined
        throw new Error('broken')
      }
    }
    const runs = ['ka', 'kb'].map((text) => model.generate(text, { maxTokens: 6 }).result)
    const settled = await Promise.allSettled(runs)
    expect(settled.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled'])
  })

  test('do not fall with one whose passes fail', async () => {
    const script = (tokens: readonly number[]) => {
      if (tokens[2] === 98 && tokens.length > 5) throw new Error('broken')
      return undefined
    }
    const alone = await modelOf(new MockEngine()).generate('ka', { maxTokens: 6, seed: 1 }).result
    const model = modelOf(new MockEngine({ script }))
    const runs = ['ka', 'kb', 'kc'].map(
      (text) => model.generate(text, { maxTokens: 6, seed: 1 }).result,
    )
    const settled = await Promise.allSettled(runs)
    expect(settled.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await runs[0]).text).toBe(alone.text)
  })
})

describe('several answers to one prompt', () => {
  const prompt = 'a prompt that is worth computing once, and no more than that'
  const options = { maxTokens: 12, seed: 4 }

  test('are generations of their own, each as alone, on one computed prompt', async () => {
    const engine = new MockEngine()
    const generations = modelOf(engine).generate(prompt, { ...options, n: 3 })
    expect(generations).toHaveLength(3)
    const results = await Promise.all(
      generations.map(async (generation) => {
        let read = ''
        for await (const piece of generation) read += piece
        const result = await generation.result
        expect(result.text).toBe(read)
        return result
      }),
    )
    for (const [i, { text, seed }] of results.entries()) {
      const alone = modelOf(new MockEngine()).generate(prompt, { ...options, seed: 4 + i })
      expect({ text, seed }).toEqual({ text: (await alone.result).text, seed: 4 + i })
    }
    const rows = engine.passes.reduce((sum, pass) => sum + pass.rows, 0)
    expect(rows).toBeLessThan(2 * prompt.length)
  })

  test('encode it once, and all hear of what is wrong with it', async () => {
    const engine = new MockEngine()
    const model = modelOf(engine)
    const encode = vi.spyOn(model.tokenizer, 'encodeSteps')
    const results = model.generate(prompt, { ...options, n: 5 }).map(({ result }) => result)
    expect(new Set((await Promise.all(results)).map((one) => one.promptTokenIds)).size).toBe(1)
    expect(encode).toHaveBeenCalledOnce()
    const refused = model.generate([], { n: 3 }).map(({ result }) => result)
    for (const one of refused) await expect(one).rejects.toThrow('at least one message')
  })

  test('go on where the first of them is given up or fails', async () => {
    const script = (tokens: readonly number[]) => (tokens.length > 70 ? undefined : 120)
    for (const fails of [false, true]) {
      const engine = new MockEngine({ maxRows: 8, script })
      const model = modelOf(engine)
      const generations = model.generate(prompt, { ...options, n: 2 })
      const first = generations[0][Symbol.asyncIterator]()
      engine.beforePass = (pass) => {
        if (pass !== 3) return
        engine.beforePass = () => undefined
        if (!fails) return void first.return?.()
        throw new Error('broken')
      }
      await generations[0].result.catch(() => undefined)
      expect((await generations[1].result).text).toHaveLength(12)
      expect(model.stats()).toMatchObject({ waiting: 0, running: 0 })
    }
  })

  test('are refused at once where an option is wrong', () => {
    const model = modelOf(new MockEngine())
    expect(() => model.generate('x', { n: 0 })).toThrow('Expected n to be an integer from 1 to 64')
    expect(() => model.generate('x', { n: 2, seed: -1 })).toThrow(UsageError)
  })
})

describe('dispose', () => {
  test('ends what runs as cancelled, frees the caches, then the weights, once', async () => {
    const engine = new MockEngine()
    let freed = 0
    const model = modelOf(engine, () => {
      expect(engine.cache.stats.sequences).toBe(0)
      freed++
    })
    const session = model.chat()
    await session.send('hi', { maxTokens: 2 }).result
    const single = model.generate('x', { maxTokens: 400 })
    const batch = model.generateBatch(['y', 'z'], { maxTokens: 400 })
    await single[Symbol.asyncIterator]().next()
    await Promise.all([model.dispose(), model.dispose()])
    expect((await single.result).finishReason).toBe('cancelled')
    expect((await batch).map((result) => result.finishReason)).toEqual(['cancelled', 'cancelled'])
    expect(freed).toBe(1)
    await expect(model.generate('x').result).rejects.toThrow(UsageError)
    await expect(session.send('x').result).rejects.toThrow(UsageError)
    await expect(model.generateBatch(['x'])).rejects.toThrow(UsageError)
    expect(() => model.chat()).toThrow(UsageError)
  })
})
