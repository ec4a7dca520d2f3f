/** Long texts are encoded in many steps, to the ids that they have at once. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { sentencePieceModel } from '../../test/support/sentencepiece-goldens.ts'
import { inStretches, MANY, type Steps } from '../steps.ts'
import { tokenizerFromJson, tokenizerFromModelFile } from './open-tokenizer.ts'

const whole = JSON.parse(
  readFileSync(new URL('../../test/fixtures/tokenizer/tokenizer.json', import.meta.url), 'utf8'),
)
const pieces = Object.entries(whole.model.vocab as Record<string, number>)
const unigram = {
  ...whole,
  pre_tokenizer: {
    type: 'Metaspace',
    replacement: '\u2581',
    prepend_scheme: 'never',
    split: false,
  },
  model: { type: 'Unigram', unk_id: 0, vocab: pieces.map(([piece, id]) => [piece, -id / 1000]) },
}
const oneWord = { ...whole, pre_tokenizer: { type: 'ByteLevel', use_regex: false } }
const normal = {
  type: 'Sequence',
  normalizers: [{ type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' +' }, content: ' ' }],
}

const SENTENCES = 'The cat sat, it was 12:30.  吾輩は猫である\uff01 cafe\u0301 ﬁn ①\n'
const TEXT = SENTENCES.repeat(8000)

/** What steps come to, and how often others had their turn. */
function counted<T>(steps: Steps<T>): { value: T; turns: number } {
  for (let turns = 0; ; turns++) {
    const { done, value } = steps.next()
    if (done === true) return { value, turns }
  }
}

describe.each([
  ['words of bytes', () => tokenizerFromJson({ tokenizerJson: whole })],
  ['one word', () => tokenizerFromJson({ tokenizerJson: oneWord })],
  ['normal text', () => tokenizerFromJson({ tokenizerJson: { ...whole, normalizer: normal } })],
  ['Unigram', () => tokenizerFromJson({ tokenizerJson: unigram })],
  ['SentencePiece', () => tokenizerFromModelFile(sentencePieceModel('rules'), {})],
])('%s', (_, open) => {
  test('is encoded in steps, each of some thousand characters', () => {
    const tokenizer = open()
    const { value, turns } = counted(tokenizer.encodeSteps(TEXT, { addBos: false }))
    expect(turns).toBeGreaterThan(TEXT.length / MANY / 2)
    expect(value).toEqual(tokenizer.encode(TEXT, { addBos: false }))
  })
})

test('stretches end where no character has to do with those on the other side', () => {
  const changed = counted(inStretches(TEXT, (text) => text.normalize('NFC')))
  expect(changed.turns).toBeGreaterThan(1)
  expect(changed.value).toBe(TEXT.normalize('NFC'))
  const marks = 'e\u0301'.repeat(200_000)
  const alone = counted(inStretches(marks, (text) => text.normalize('NFC')))
  expect(alone).toEqual({ value: 'é'.repeat(200_000), turns: 1 })
})
