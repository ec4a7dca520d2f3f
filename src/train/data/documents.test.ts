/** Lines of JSON, conversations and what of them is learnt. */
import { expect, test } from 'vitest'
import { FormatError } from '../../errors.ts'
import { tokenizerFromJson } from '../../tokenizer/open-tokenizer.ts'
import { byteTokenizerFiles } from '../../tokenizer/training/tokenizer-files.ts'
import { documentsOfLine } from './documents.ts'
import { encodeDocument } from './encode.ts'
import { idOf, isLearnt } from './token-source.ts'

const files = byteTokenizerFiles()
const tokenizer = tokenizerFromJson({
  tokenizerJson: files['tokenizer.json'],
  tokenizerConfig: files['tokenizer_config.json'],
  generationConfig: files['generation_config.json'],
})

test('the tokenizer of bytes gives every text back', () => {
  const text = 'Ein Gruß, 猫が3匹。🐈\n\u0000 <|eot_id|>'
  const ids = tokenizer.encode(text)
  expect(ids).toHaveLength(1 + new TextEncoder().encode(text).length)
  expect(ids[0]).toBe(0)
  expect(tokenizer.decode(ids)).toBe(text)
  expect(tokenizer.vocabSize).toBe(262)
  expect([...tokenizer.stopIds].sort()).toEqual([1, 2])
})

test('a text has the tokens that begin and end a document', () => {
  const words = encodeDocument({ text: 'ab' }, tokenizer)
  expect(words).toEqual([...tokenizer.encode('ab'), tokenizer.stopIds[0]])
  expect(words.every(isLearnt)).toBe(true)
})

test('of a conversation only what the assistant says is learnt, and that it ends', () => {
  const line = JSON.stringify({
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Yes' },
      { role: 'user', content: 'Two' },
      { role: 'assistant', content: 'No' },
    ],
  })
  const [document] = documentsOfLine(line, 'talk.jsonl', 1)
  const words = encodeDocument(document, tokenizer)
  const learnt = words.filter(isLearnt)
  expect(tokenizer.decode(learnt, { skipSpecial: false })).toBe('Yes<|eot_id|>No<|eot_id|>')
  expect(tokenizer.decode(words.map(idOf), { skipSpecial: false })).toBe(
    '<|begin_of_text|><|user|>Hi<|eot_id|><|assistant|>Yes<|eot_id|><|user|>Two<|eot_id|>' +
      '<|assistant|>No<|eot_id|>',
  )
})

test('turns in several wordings are as many conversations', () => {
  const line = JSON.stringify({ turns: [{ user: ['a', 'b', 'c'], assistant: ['x', 'y'] }] })
  const documents = documentsOfLine(line, 'guide.jsonl', 1)
  const texts = documents.map((own) =>
    'messages' in own ? own.messages.map(({ content }) => content).join('') : '',
  )
  expect(texts).toEqual(['ax', 'by', 'cx'])
})

test.each([
  '',
  '{',
  '[]',
  '{"text":3}',
  '{"messages":[]}',
  '{"messages":[{"role":"x"}]}',
  '{"turns":[{}]}',
])('a line %j is refused with its place', (line) => {
  expect(() => documentsOfLine(line, 'bad.jsonl', 7)).toThrow(FormatError)
  expect(() => documentsOfLine(line, 'bad.jsonl', 7)).toThrow(/line 7 of bad\.jsonl.*"messages"/)
})
