// Conversations: what is computed anew, what the history holds, and what happens when turns go wrong.
import { describe, expect, test } from 'vitest'
import { AB, answers, ByteTokenizer, EOT, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { ContextOverflowError, UsageError } from '../../errors.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'

const modelOf = (engine: MockEngine, tokenizer = new ByteTokenizer()) =>
  mockModel(engine, { tokenizer, defaults: { temperature: 0 } })

const rowsOf = (engine: MockEngine) => engine.passes.reduce((sum, pass) => sum + pass.rows, 0)

describe('a chat session', () => {
  test('keeps the history and prefills only what is new', async () => {
    const engine = new MockEngine({ script: answers('yes', 'no', 'well') })
    const session = modelOf(engine).chat({ system: 'be brief' })
    const first = await session.send('is it so?').result
    expect(first).toMatchObject({ text: 'yes', usage: { promptTokens: 23, cachedTokens: 0 } })
    const before = rowsOf(engine)
    const second = await session.send('sure?').result
    // Cached: the prompt and "yes". New: its end token, <user>, "sure?", end token, <assistant>.
    expect(second.usage).toMatchObject({ promptTokens: 35, cachedTokens: 26 })
    expect(rowsOf(engine) - before).toBe(9 + 2)
    const third = await session.send('hm').result
    expect(third.usage).toMatchObject({ cachedTokens: 37, promptTokens: 43 })
    expect(session.messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'is it so?' },
      { role: 'assistant', content: 'yes' },
      { role: 'user', content: 'sure?' },
      { role: 'assistant', content: 'no' },
      { role: 'user', content: 'hm' },
      { role: 'assistant', content: 'well' },
    ])
  })

  test('shows its tools, or those of a turn, to the template', async () => {
    const tools = [{ type: 'function', function: { name: 'weather' } }]
    const others = [{ type: 'function', function: { name: 'clock' } }]
    const session = modelOf(new MockEngine({ script: answers('a', 'b', 'c') })).chat({ tools })
    const render = (messages: readonly ChatMessage[], shown: typeof tools) =>
      new ByteTokenizer().encodeChat(messages, { addGenerationPrompt: true, tools: shown })
    const first = await session.send('x').result
    expect(first.promptTokenIds).toEqual(render([{ role: 'user', content: 'x' }], tools))
    const second = await session.send('y').result
    expect(second.promptTokenIds).toEqual(render(session.messages.slice(0, 3), tools))
    expect(second.usage.cachedTokens).toBeGreaterThan(first.promptTokenIds.length)
    const third = await session.send('z', { tools: others }).result
    expect(third.promptTokenIds).toEqual(render(session.messages.slice(0, 5), others))
    const alone = modelOf(new MockEngine())
    const asked = [{ role: 'user', content: 'x' }] as const
    const one = await alone.generate(asked, { tools, maxTokens: 1 }).result
    expect(one.promptTokenIds).toEqual(render(asked, tools))
    const [batched] = await alone.generateBatch([asked], { tools, maxTokens: 1 })
    expect(batched.promptTokenIds).toEqual(render(asked, tools))
    await expect(alone.generate('x', { tools }).result).rejects.toThrow('Expected messages beside')
    const wrong = alone.generate(asked, { tools: ['weather'] as never }).result
    await expect(wrong).rejects.toThrow('Expected tools to be an array of descriptions')
  })

  test('says what a model without a session says to the same messages', async () => {
    const session = modelOf(new MockEngine()).chat()
    const options = { maxTokens: 12 }
    await session.send('hello', options).result
    const history = session.messages
    const answer = await session.send('and?', options).result
    const messages: ChatMessage[] = [...history, { role: 'user', content: 'and?' }]
    const alone = await modelOf(new MockEngine()).generate(messages, options).result
    expect(answer.text).toBe(alone.text)
    expect(answer.promptTokenIds).toEqual(alone.promptTokenIds)
    expect(answer.usage.cachedTokens).toBeGreaterThan(0)
  })

  test('keeps the ids that were generated where the template or tokenizer would change them', async () => {
    // The template trims the answer's space, and the tokenizer would write "ab" as one token.
    const generated = [32, 97, 98]
    const session = modelOf(new MockEngine({ script: answers(generated, 'ok', 'ok') })).chat()
    expect((await session.send('x').result).text).toBe(' ab')
    expect(session.messages[1].content).toBe(' ab')
    const second = await session.send('y').result
    expect(second.promptTokenIds).toEqual([
      256,
      258,
      120,
      EOT,
      259,
      32,
      97,
      98,
      EOT,
      258,
      121,
      EOT,
      259,
    ])
    const third = await session.send('z').result
    expect(third.promptTokenIds.slice(0, 13)).toEqual(second.promptTokenIds)
  })

  test('closes an answer that was cut by its length', async () => {
    const session = modelOf(new MockEngine({ script: answers('a long one', 'ok') })).chat()
    await session.send('x', { maxTokens: 6 }).result
    const second = await session.send('y').result
    expect(session.messages[1].content).toBe('a long')
    expect(second.promptTokenIds.slice(5, 13)).toEqual([
      ...new TextEncoder().encode('a long'),
      EOT,
      258,
    ])
  })

  test('leaves a stop string out of what the model sees later', async () => {
    const session = modelOf(new MockEngine({ script: answers('cab\nUser: I', 'ok') })).chat()
    expect((await session.send('x', { stop: ['\nUser:'] }).result).text).toBe('cab')
    const second = await session.send('y').result
    expect(second.promptTokenIds.slice(5, 9)).toEqual([99, AB, EOT, 258])
  })

  test('falls back to the longest common beginning when the template does not compose', async () => {
    class Forgetful extends ByteTokenizer {
      // Shows only the last message of the conversation, as some templates hide earlier thoughts.
      override encodeChat(
        messages: readonly ChatMessage[],
        options?: { addGenerationPrompt?: boolean },
      ): number[] {
        return super.encodeChat(messages.slice(-1), options)
      }
    }
    const engine = new MockEngine({ script: answers('yes') })
    const session = modelOf(engine, new Forgetful()).chat()
    const same = 'x'.repeat(20)
    await session.send(`${same}x`).result
    const second = await session.send(`${same}y`).result
    expect(second.promptTokenIds).toEqual([256, 258, ...Array(20).fill(120), 121, EOT, 259])
    expect(second.usage.cachedTokens).toBe(22)
  })

  test('falls back to the rendering when the template ends no answer', async () => {
    class Open extends ByteTokenizer {
      // Ends a message only where a user's follows.
      override encodeChat(
        messages: readonly ChatMessage[],
        options?: { addGenerationPrompt?: boolean },
      ): number[] {
        const ids = super.encodeChat(messages, options)
        return ids.filter((id, i) => id !== EOT || ids[i + 1] === 259)
      }
    }
    const session = modelOf(new MockEngine({ script: answers('yes', 'no') }), new Open()).chat()
    await session.send('x').result
    const second = await session.send('y').result
    const yes = [...new TextEncoder().encode('yes')]
    expect(second.promptTokenIds).toEqual([256, 258, 120, EOT, 259, ...yes, 258, 121, EOT, 259])
  })

  test('keeps a cancelled answer as far as it came, and goes on after it', async () => {
    const engine = new MockEngine({ script: answers('a long answer', 'ok') })
    const session = modelOf(engine).chat()
    const cancelled = session.send('x')
    let read = ''
    for await (const piece of cancelled) {
      read += piece
      if (read.length === 3) break
    }
    const { text, finishReason } = await cancelled.result
    expect(finishReason).toBe('cancelled')
    expect('a long answer'.startsWith(text)).toBe(true)
    expect(session.messages.at(-1)).toEqual({ role: 'assistant', content: text })
    expect((await session.send('y').result).text).toBe('ok')
  })

  test('takes the message back when the turn is cancelled before its first token or fails', async () => {
    const engine = new MockEngine({ maxRows: 4, script: answers('yes', 'no') })
    const session = modelOf(engine).chat()
    const cancelled = session.send('a long message', { signal: AbortSignal.abort() })
    expect(session.messages).toHaveLength(1)
    expect((await cancelled.result).text).toBe('')
    expect(session.messages).toEqual([])
    engine.beforePass = (pass) => {
      if (pass === 4) throw new Error('broken')
    }
    await expect(session.send('a long message').result).rejects.toThrow('broken')
    expect(session.messages).toEqual([])
    engine.beforePass = () => undefined
    const result = await session.send('a long message').result
    expect(result.text).toBe('yes')
    expect(result.usage.cachedTokens).toBe(16) // four pieces were computed before the failure
  })

  test('refuses a second turn while one runs, and allows it as soon as the first has ended', async () => {
    const session = modelOf(new MockEngine({ script: answers('yes', 'no') })).chat()
    const first = session.send('x')
    await expect(session.send('y').result).rejects.toThrow(UsageError)
    expect(() => session.reset()).toThrow(UsageError)
    expect(() => session.restore([])).toThrow(UsageError)
    for await (const _ of first) {
      // read to the end
    }
    expect((await session.send('y').result).text).toBe('no')
    expect(session.messages).toHaveLength(4)
  })

  test('tells when the conversation is too long, and leaves it as it was', async () => {
    const session = modelOf(new MockEngine({ contextLength: 32, script: answers('yes') })).chat()
    await session.send('x').result
    const history = session.messages
    const refused = session.send('y'.repeat(20)).result
    await expect(refused).rejects.toThrow(ContextOverflowError)
    await expect(refused).rejects.toMatchObject({ needed: 33, available: 32 })
    await expect(refused).rejects.toThrow('got 32 tokens')
    expect(session.messages).toEqual(history)
  })

  test('computes only what differs after restore and reset', async () => {
    const engine = new MockEngine({ script: answers('yes', 'no', 'so') })
    const session = modelOf(engine).chat({ system: 'be brief and kind' })
    await session.send('x').result
    await session.send('y').result
    const saved = session.messages
    session.reset()
    expect(session.messages).toEqual([{ role: 'system', content: 'be brief and kind' }])
    const fresh = await session.send('xx').result
    expect(fresh.usage.cachedTokens).toBe(22) // up to where "x" and "xx" part
    session.restore(saved.slice(0, 3))
    expect(session.messages).toEqual(saved.slice(0, 3))
    const again = await session.send('y').result
    expect(again.text).toBe('no')
    expect(again.usage.cachedTokens).toBe(again.usage.promptTokens - 1)
  })

  test('refuses messages that are none, and two system messages', () => {
    const model = modelOf(new MockEngine())
    const system: ChatMessage = { role: 'system', content: '' }
    expect(() => model.chat({ system: 'a', messages: [system] })).toThrow(UsageError)
    const broken = [{ role: 'user' }] as ChatMessage[]
    expect(() => model.chat({ messages: broken })).toThrow(UsageError)
    expect(() => model.chat().restore(broken)).toThrow(UsageError)
  })

  test('ends its turn when it is disposed of, and holds nothing', async () => {
    const model = modelOf(new MockEngine())
    const session = model.chat()
    const turn = session.send('x', { maxTokens: 200 })
    await turn[Symbol.asyncIterator]().next()
    session.dispose()
    session.dispose()
    expect((await turn.result).finishReason).toBe('cancelled')
    expect(model.stats()).toMatchObject({ waiting: 0, running: 0 })
    await expect(session.send('y').result).rejects.toThrow(UsageError)
  })

  test('takes exchanges back, one at a time', async () => {
    const session = modelOf(new MockEngine({ script: answers('yes', 'no', 'so') })).chat({
      system: 'be brief',
    })
    await session.send('x').result
    await session.send('y').result
    expect(session.undo()).toBe('y')
    expect(session.messages).toHaveLength(3)
    const again = await session.send('z').result
    expect(again.usage.cachedTokens).toBeGreaterThan(13)
    expect(session.undo()).toBe('z')
    expect(session.undo()).toBe('x')
    expect(session.undo()).toBeUndefined()
    expect(session.messages).toEqual([{ role: 'system', content: 'be brief' }])
  })
})

describe('a chat that may forget', () => {
  const forgetful = (contextLength: number, system?: string) => {
    const script = answers(...Array.from({ length: 40 }, (_, i) => `answer ${i}`))
    const engine = new MockEngine({ contextLength, script })
    const opening = system === undefined ? {} : { system }
    return { engine, session: modelOf(engine).chat({ ...opening, overflow: 'forget' }) }
  }

  test('leaves the oldest exchanges out, keeps them, and goes on', async () => {
    const { session } = forgetful(96, 'be brief')
    const forgotten: number[] = []
    for (let i = 0; i < 20; i++) {
      const { usage, finishReason } = await session.send(`message ${i}`).result
      expect(finishReason).toBe('stop')
      expect(usage.totalTokens).toBeLessThanOrEqual(96)
      forgotten.push(session.forgotten)
    }
    expect(forgotten[0]).toBe(0)
    expect(forgotten.at(-1)).toBeGreaterThan(20)
    expect(forgotten.every((count) => count % 2 === 0)).toBe(true)
    // Half of the context goes at a time, so that most turns find their beginning in the cache.
    expect(new Set(forgotten).size).toBeLessThan(15)
    expect(session.messages).toHaveLength(41)
    expect(session.messages[1].content).toBe('message 0')
  })

  test('says what a model says that is shown the latest messages alone', async () => {
    const { session } = forgetful(96, 'be brief')
    for (let i = 0; i < 6; i++) await session.send(`message ${i}`).result
    const { promptTokenIds } = await session.send('last').result
    expect(session.forgotten).toBeGreaterThan(0)
    const rest = session.messages.slice(1 + session.forgotten, -1)
    const shown = [session.messages[0], ...rest]
    expect(promptTokenIds).toEqual(
      new ByteTokenizer().encodeChat(shown, { addGenerationPrompt: true }),
    )
  })

  test('takes a long history, and one that is longer than anything it would encode', async () => {
    const { session } = forgetful(64)
    const history: ChatMessage[] = Array.from({ length: 200 }, (_, i) => ({
      role: i % 2 === 0 ? 'user' : 'assistant',
      content: i < 4 ? 'x'.repeat(1_000_000) : `${i}`,
    }))
    session.restore(history)
    await session.send('hm').result
    expect(session.forgotten).toBeGreaterThan(150)
    expect(session.messages).toHaveLength(202)
  })

  test('takes a history of calls of tools, which have no content', async () => {
    const { session } = forgetful(64)
    const call = { function: { name: 'weather', arguments: {} } }
    const turns = [
      { role: 'user', content: 'weather?' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', content: '21' },
      { role: 'assistant', content: 'It is 21.' },
    ]
    session.restore(Array.from({ length: 10 }, () => turns).flat() as ChatMessage[])
    await session.send('hm').result
    expect(session.forgotten).toBeGreaterThan(20)
  })

  test('still refuses a message that does not fit alone', async () => {
    const { session } = forgetful(32)
    await session.send('x').result
    await expect(session.send('y'.repeat(40)).result).rejects.toThrow(ContextOverflowError)
    expect(session.messages).toHaveLength(2)
  })

  test('undo and reset begin with what is left', async () => {
    const { session } = forgetful(96)
    for (let i = 0; i < 10; i++) await session.send(`message ${i}`).result
    const { forgotten } = session
    session.undo()
    expect(session.forgotten).toBe(forgotten)
    while (session.undo() !== undefined);
    expect(session.forgotten).toBe(0)
    session.reset()
    expect((await session.send('x').result).usage.cachedTokens).toBeLessThan(3)
  })

  test('refuses another rule', () => {
    const overflow = 'drop' as 'fail'
    expect(() => modelOf(new MockEngine()).chat({ overflow })).toThrow(UsageError)
  })
})

test('idle chats that nobody disposed of hold no more than a few caches, and go on', async () => {
  const engine = new MockEngine()
  const model = modelOf(engine)
  const sessions = Array.from({ length: 10 }, () => model.chat())
  const opening = (i: number) => String.fromCharCode(97 + i).repeat(20)
  for (const [i, session] of sessions.entries())
    await session.send(opening(i), { maxTokens: 4 }).result
  const [oldest] = sessions
  const alone = modelOf(new MockEngine()).chat()
  await alone.send(opening(0), { maxTokens: 4 }).result
  const expected = await alone.send('y', { maxTokens: 4 }).result
  const again = await oldest.send('y', { maxTokens: 4 }).result
  expect(again.text).toBe(expected.text)
  expect(again.promptTokenIds).toEqual(expected.promptTokenIds)
  await model.dispose()
  expect(engine.cache.stats.sequences).toBe(0)
})
