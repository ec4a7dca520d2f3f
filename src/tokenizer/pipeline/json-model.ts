/**
 * A tokenizer.json's chain from normal text to ids: its pre_tokenizer and its model.
 */
import { describe, isAbsent, isWhole, type JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { MANY, type Steps } from '../../steps.ts'
import { readMerges } from '../tokenizer-json.ts'
import { bpeEncoder, type EncodeWord } from './bpe.ts'
import { unsupportedPart } from './parts.ts'
import { type PreTokenizing, preTokenizerOf } from './pre-tokenize.ts'
import { unigramEncoder } from './unigram.ts'

/** Ids of normal text; `startsText` tells that nothing comes before it. */
export type EncodeNormal = (text: string, startsText: boolean) => Steps<number[]>

/** Words are short and repeat; the cache starts anew when it is full. */
const MAX_CACHED_WORDS = 20_000
const MAX_CACHED_WORD_CHARS = 64

/**
 * @param ids by piece, checked already
 * @throws FormatError naming the part that is damaged or not supported
 */
export function* jsonEncoder(
  json: JsonObject,
  model: JsonObject,
  ids: ReadonlyMap<string, number>,
): Steps<EncodeNormal> {
  const words = preTokenizerOf(json.pre_tokenizer, !isAbsent(json.normalizer))
  return wordsEncoder(words, yield* model.type === 'BPE' ? bpeOf(model, ids) : unigramOf(model))
}

/** Cuts text to words and encodes them one by one. */
export function wordsEncoder({ cut, spell }: PreTokenizing, encode: EncodeWord): EncodeNormal {
  const cache = new Map<string, readonly number[]>()
  function* encodeWord(word: string): Steps<readonly number[]> {
    const ids: number[] = []
    yield* encode(spell === undefined ? word : yield* spell(word), ids)
    if (word.length > MAX_CACHED_WORD_CHARS) return ids
    if (cache.size >= MAX_CACHED_WORDS) cache.clear()
    cache.set(word, ids)
    return ids
  }
  return function* (text, startsText) {
    const ids: number[] = []
    const { list } = yield* cut({ list: [text], startsText })
    for (const [i, word] of list.entries()) {
      for (const id of cache.get(word) ?? (yield* encodeWord(word))) ids.push(id)
      if (i % MANY === MANY - 1) yield
    }
    return ids
  }
}

function bpeOf(model: JsonObject, vocab: ReadonlyMap<string, number>): Steps<EncodeWord> {
  const { dropout } = model
  if (!isAbsent(dropout) && dropout !== 0) {
    throw unsupportedPart(
      `The model of tokenizer.json with a dropout of ${describe(dropout)}`,
      'it would encode a text differently each time',
    )
  }
  return bpeEncoder({
    vocab,
    merges: readMerges(model),
    unknown: optionalText(model, 'unk_token'),
    prefix: optionalText(model, 'continuing_subword_prefix') ?? '',
    suffix: optionalText(model, 'end_of_word_suffix') ?? '',
    fuseUnknown: optionalSwitch(model, 'fuse_unk'),
    byteFallback: optionalSwitch(model, 'byte_fallback'),
    ignoreMerges: optionalSwitch(model, 'ignore_merges'),
  })
}

function unigramOf(model: JsonObject): Steps<EncodeWord> {
  const pieces = model.vocab as [string, number][]
  const unknownId = isAbsent(model.unk_id) ? undefined : model.unk_id
  if (unknownId !== undefined && !isWhole(unknownId, 0, pieces.length - 1)) {
    throw wrong('unk_id', `nothing or a token id below ${pieces.length}`, unknownId)
  }
  return unigramEncoder({
    pieces,
    unknownId,
    byteFallback: optionalSwitch(model, 'byte_fallback'),
  })
}

function optionalText(model: JsonObject, name: string): string | undefined {
  const value = model[name]
  if (isAbsent(value)) return undefined
  if (typeof value === 'string') return value
  throw wrong(name, 'nothing or a text', value)
}

function optionalSwitch(model: JsonObject, name: string): boolean {
  const value = model[name] ?? false
  if (typeof value === 'boolean') return value
  throw wrong(name, 'true or false', value)
}

function wrong(name: string, expected: string, value: unknown): FormatError {
  const field = `model.${name}`
  return new FormatError(
    `Expected ${field} of tokenizer.json to be ${expected}, got ${describe(value)}. ` +
      'The file is damaged; fetch it again.',
    { field },
  )
}
