// Conversations: what is computed anew, what the history holds, and what happens when turns go wrong.
import { describe, expect, test } from 'vitest'
import { AB, answers, ByteTokenizer, EOT, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { ContextOverflowError, FormatError, UsageError } from '../../errors.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import { encodeState, readState } from '../state/state-file.ts'

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
    const engine = new MockEngine({ contextLength: 32, script: answers('yes') })
    const session = modelOf(engine).chat({ contextShift: false })
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

  test('takes what is said in parts, and shows it as one text', async () => {
    const engine = new MockEngine({ script: answers('fine') })
    const parts = [
      { type: 'text' as const, text: 'how ' },
      { type: 'text' as const, text: 'are you?' },
    ]
    const inParts = [{ role: 'user' as const, content: parts }]
    const whole = [{ role: 'user' as const, content: 'how are you?' }]
    const model = modelOf(engine)
    const { promptTokenIds } = await model.generate(inParts).result
    expect(promptTokenIds).toEqual((await model.generate(whole).result).promptTokenIds)
    const session = model.chat({ messages: inParts })
    expect(session.messages).toEqual(whole)
    session.restore([...inParts, { role: 'assistant', content: [] }])
    expect(session.messages).toEqual([...whole, { role: 'assistant', content: '' }])
    const image = [{ role: 'user', content: [...parts, { type: 'image_url' }] }] as never
    await expect(model.generate(image).result).rejects.toThrow(
      'prompt[0].content to be a list of {type',
    )
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

describe('a saved chat', () => {
  const talk = async (engine: MockEngine) => {
    const session = modelOf(engine).chat({ system: 'be brief' })
    await session.send('one is a message of some length', { maxTokens: 9 }).result
    await session.send('two is longer than one, by far', { maxTokens: 9 }).result
    return session
  }

  test('goes on in another process as if nothing had happened, and computes nothing again', async () => {
    const before = await talk(new MockEngine())
    const bytes = await before.saveState()
    const expected = await before.send('three', { maxTokens: 9 }).result
    const engine = new MockEngine()
    const later = modelOf(engine).chat()
    const report = await later.loadState(bytes)
    expect(report).toEqual({ messages: 5, tokens: expect.any(Number), cachedTokens: 96 })
    expect(later.messages).toEqual(before.messages.slice(0, 5))
    const rows = rowsOf(engine)
    const result = await later.send('three', { maxTokens: 9 }).result
    expect({ text: result.text, ids: result.promptTokenIds }).toEqual({
      text: expected.text,
      ids: expected.promptTokenIds,
    })
    expect(result.usage.cachedTokens).toBe(96)
    expect(rowsOf(engine) - rows).toBe(result.usage.totalTokens - 96 - 1)
    expect(later.undo()).toBe('three')
  })

  test('gives its messages to another model, and says why nothing else', async () => {
    const bytes = await (await talk(new MockEngine())).saveState()
    const later = modelOf(new MockEngine({ salt: 1 })).chat()
    const { messages, cachedTokens, refused } = await later.loadState(bytes)
    expect({ messages, cachedTokens }).toEqual({ messages: 5, cachedTokens: 0 })
    expect(refused).toContain('computes other numbers')
    const expected = modelOf(new MockEngine({ salt: 1 })).chat({ messages: later.messages })
    const { text } = await later.send('three', { maxTokens: 9 }).result
    expect(text).toBe((await expected.send('three', { maxTokens: 9 }).result).text)
  })

  test('keeps what is forgotten, and one that has not begun', async () => {
    const engine = new MockEngine({ contextLength: 96 })
    const session = modelOf(engine).chat()
    for (let i = 0; i < 6; i++) await session.send(`message ${i}`, { maxTokens: 9 }).result
    const later = modelOf(new MockEngine({ contextLength: 96 })).chat()
    await later.loadState(await session.saveState())
    expect(session.forgotten).toBeGreaterThan(0)
    expect(later.forgotten).toBe(session.forgotten)
    const next = (chat: typeof later) => chat.send('next', { maxTokens: 9 }).result
    expect((await next(later)).text).toBe((await next(session)).text)
    const empty = await modelOf(new MockEngine()).chat().saveState()
    expect(await later.loadState(empty)).toMatchObject({ messages: 0, cachedTokens: 0 })
    expect(later.messages).toEqual([])
  })

  test('is refused where it is none, damaged, or an answer is in progress', async () => {
    const session = await talk(new MockEngine())
    const bytes = await session.saveState()
    const model = modelOf(new MockEngine())
    const later = model.chat()
    await expect(later.loadState(await model.saveState('a prompt'))).rejects.toThrow(FormatError)
    await expect(later.loadState(bytes.subarray(1))).rejects.toThrow(FormatError)
    expect(later.messages).toEqual([])
    const state = await readState(bytes)
    const messages = [{ role: 'user', content: 'x' }]
    for (const chat of [
      { messages: 7, forgotten: 0 },
      { messages: [{ role: 'nobody' }], forgotten: 0 },
      { messages, forgotten: 2 },
      { messages, forgotten: 0, rendered: [1] },
      { messages: session.messages, forgotten: 0, rendered: [99_999] },
      null,
    ]) {
      const file = await encodeState({ ...state, note: { chat } })
      await expect(later.loadState(file), JSON.stringify(chat)).rejects.toThrow(FormatError)
    }
    const running = session.send('x', { maxTokens: 50 })
    await expect(session.saveState()).rejects.toThrow(UsageError)
    await expect(session.loadState(bytes)).rejects.toThrow(UsageError)
    await running.result
  })
})
