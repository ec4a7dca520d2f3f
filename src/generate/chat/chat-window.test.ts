// A conversation that outgrows the context: what is forgotten, before a turn and while an answer is written.
import { describe, expect, test } from 'vitest'
import { answers, ByteTokenizer, EOT, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { ContextOverflowError, UsageError } from '../../errors.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'

const modelOf = (engine: MockEngine) => mockModel(engine, { defaults: { temperature: 0 } })

describe('a chat that may forget', () => {
  const forgetful = (contextLength: number, system?: string) => {
    const script = answers(...Array.from({ length: 40 }, (_, i) => `answer ${i}`))
    const engine = new MockEngine({ contextLength, script })
    const opening = system === undefined ? {} : { system }
    return { engine, session: modelOf(engine).chat({ ...opening, contextShift: true }) }
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
    const contextShift = 'drop' as never
    expect(() => modelOf(new MockEngine()).chat({ contextShift })).toThrow(UsageError)
  })
})

describe('a context that fills while an answer is written', () => {
  const endless = (contextLength: number) => {
    const script = (tokens: readonly number[]) =>
      tokens.at(-1) === EOT ? undefined : 97 + (tokens.length % 26)
    return new MockEngine({ contextLength, script, maxRows: 16 })
  }

  test('drops the oldest exchanges, keeps the system message, and goes on', async () => {
    const engine = endless(64)
    const session = modelOf(engine).chat({ system: 'be brief' })
    await session.send('one', { maxTokens: 8 }).result
    await session.send('two', { maxTokens: 8 }).result
    expect(session.forgotten).toBe(0)
    const { text, droppedTokens, finishReason, usage } = await session.send('three', {
      maxTokens: 20,
    }).result
    expect(text).toHaveLength(20)
    expect({ finishReason, completion: usage.completionTokens }).toEqual({
      finishReason: 'length',
      completion: 20,
    })
    expect(session.forgotten).toBeGreaterThan(0)
    // Exchanges went, and nothing of the answer.
    expect(droppedTokens).toBeUndefined()
    const long = await session.send('go on', { maxTokens: 150 }).result
    expect(long.text).toHaveLength(150)
    expect(long.droppedTokens).toBeGreaterThan(80)
    expect(long.droppedTokens).toBeLessThan(150)
    expect(session.messages).toHaveLength(9)
    expect(session.messages.at(-1)?.content).toBe(long.text)
    const after = await session.send('well', { maxTokens: 4 }).result
    expect(after.text).toHaveLength(4)
    expect(engine.cache.stats.sequences).toBe(0)
  })

  test('ends the answer where a chat is not to forget', async () => {
    const session = modelOf(endless(64)).chat({ contextShift: false })
    const { finishReason, text } = await session.send('x', { maxTokens: 200 }).result
    expect(finishReason).toBe('length')
    expect(text.length).toBeLessThan(64)
    await expect(session.send('y').result).rejects.toThrow(ContextOverflowError)
  })
})

test('two hundred chats of three hundred tokens take the blocks of their positions, and hardly more', async () => {
  const engine = new MockEngine({ contextLength: 512, blocks: 1000, maxRows: 64 })
  const model = modelOf(engine)
  const sessions = Array.from({ length: 200 }, (_, i) => ({ i, session: model.chat() }))
  for (let turn = 0; turn < 3; turn++) {
    for (let from = 0; from < 200; from += 8) {
      const some = sessions.slice(from, from + 8)
      const send = ({ i, session }: (typeof sessions)[0]) =>
        session.send(`${i} ${'m'.repeat(80)}`, { maxTokens: 12 }).result
      for (const { usage } of await Promise.all(some.map(send))) {
        if (turn === 2) expect(usage.totalTokens).toBeGreaterThan(285)
      }
    }
  }
  const { blocks, free, kept } = engine.cache.stats
  expect(blocks - free).toBe(kept)
  expect(kept).toBeLessThanOrEqual(200 * (512 / 256) * 1.1)
  // All of them go on from there.
  const [{ session }] = sessions
  const { usage } = await session.send('x', { maxTokens: 2 }).result
  expect(usage.cachedTokens).toBeGreaterThan(285)
})
