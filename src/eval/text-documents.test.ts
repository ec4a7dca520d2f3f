/** How a text becomes documents: packed ones cross borders, conversations become messages. */
import { describe, expect, test } from 'vitest'
import { ByteTokenizer, MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { UsageError } from '../errors.ts'
import { finish } from '../steps.ts'
import { perplexity } from './perplexity.ts'
import { conversationOf, documentsOf } from './text-documents.ts'

const tokenizer = new ByteTokenizer()
const [end] = tokenizer.stopIds

describe('packed documents', () => {
  test('follow each other with their begin and end tokens, all scored once', () => {
    const rules = { separator: '|', packed: true, bos: 'always' } as const
    const { sequences, documents } = finish(documentsOf(tokenizer, 'xyz|de| |', rules, 4, 4))
    const begin = tokenizer.bosId ?? end
    const bytes = (text: string) => tokenizer.encode(text, { addBos: false })
    const stream = [begin, ...bytes('xyz'), end, begin, ...bytes('de'), end]
    const scored = sequences.flatMap(({ tokens, firstTarget }) => tokens.slice(firstTarget))
    expect(documents).toBe(2)
    expect(scored).toEqual(stream.slice(1))
    // The second window's rows lie in both documents.
    expect(sequences).toHaveLength(2)
    expect(sequences[1].tokens).toEqual(stream.slice(4))
  })

  test('have the end tokens in their sum, and the bytes of the documents alone', async () => {
    const report = await perplexity(mockModel(new MockEngine()), 'xyz|de', {
      ...{ separator: '|', packed: true, bos: 'always' },
    })
    expect(report).toMatchObject({ tokens: 8, bytes: 5, documents: 2 })
  })

  test('are cut into windows that the memory for caches has room for', async () => {
    const model = mockModel(new MockEngine({ contextLength: 512, blocks: 1 }))
    const { window, tokens } = await perplexity(model, 'x'.repeat(600))
    expect({ window, tokens }).toEqual({ window: 256, tokens: 600 })
  })
})

describe('a conversation', () => {
  test('has the first name as user, the other one as assistant, and lines that go on', () => {
    const text = 'A：こんにちは\nB: Hello: you\nand more\nNote: not a name\nA： bye\nA: again\n'
    expect(conversationOf(text, 0)).toEqual([
      { role: 'user', content: 'こんにちは' },
      { role: 'assistant', content: 'Hello: you\nand more\nNote: not a name' },
      { role: 'user', content: 'bye\nagain' },
    ])
  })

  test('has no part of line ends of Windows, and neither has the preset', async () => {
    expect(conversationOf('A: one\r\nB: two\r\nmore\r\n', 0)).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two\nmore' },
    ])
    const paper = (text: string) =>
      perplexity(mockModel(new MockEngine()), text, { preset: 'bitnet-paper' })
    expect(await paper('one\r\n\r\ntwo\r\n')).toEqual(await paper('one\n\ntwo\n'))
  })

  test('whose first line has no name is refused, with its place', () => {
    expect(() => conversationOf('once upon a time', 2)).toThrow(
      'document 3 begins with "once upon a time"',
    )
  })

  test('is not both packed by a preset, nor with a begin token of its own', async () => {
    const model = mockModel(new MockEngine())
    const both = perplexity(model, 'A: a', { preset: 'bitnet-paper', chat: true })
    await expect(both).rejects.toThrow(UsageError)
    const begin = perplexity(model, 'A: a', { bos: 'always', chat: true })
    await expect(begin).rejects.toThrow("the model's template has it or not")
  })
})
