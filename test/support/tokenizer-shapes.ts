/**
 * Tokenizers of every shape that is accepted: each part and each option in at least one of them.
 */
import { readFileSync } from 'node:fs'
import { learnMerges } from './learn-merges.ts'
import { randomTexts } from './random-texts.ts'
import { GOLDENS } from './sentencepiece-goldens.ts'
import { DEEPSEEK, GPT4O, KIMI, LLAMA3, ODD_EXPRESSIONS } from './split-expressions.ts'

type Json = Record<string, unknown>

const BYTE_LEVEL_PIECES = 2500
/** How many merges the other vocabularies learn, from how many texts. */
const ROUNDS = 120
const SAMPLES = 150

/** This project's own vocabulary, cut down to its first merges. */
const fixture: Json & { model: Json } = (() => {
  const url = new URL('../fixtures/tokenizer/tokenizer.json', import.meta.url)
  const json = JSON.parse(readFileSync(url, 'utf8'))
  const { vocab, merges } = json.model
  const kept = Object.entries<number>(vocab).filter(([, id]) => id < BYTE_LEVEL_PIECES)
  const pieces = Object.fromEntries(kept)
  const known = merges.filter((merge: string | [string, string]) => {
    const [left, right] = typeof merge === 'string' ? merge.split(' ') : merge
    return [left, right, left + right].every((piece) => piece in pieces)
  })
  return { ...json, model: { ...json.model, vocab: pieces, merges: known } }
})()

const ALPHABET_SAMPLE = randomTexts(7, SAMPLES).map((text) =>
  text.toWellFormed().replaceAll('\0', ''),
)

const BYTES = Array.from({ length: 256 }, (_, byte) => {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
})

const numbered = (pieces: readonly string[]) =>
  Object.fromEntries([...new Set(pieces)].map((piece, id) => [piece, id]))

const words = (mark: string) =>
  ALPHABET_SAMPLE.flatMap((text) =>
    text.replaceAll(' ', mark === '' ? ' ' : ` ${mark}`).split(' '),
  ).filter((word) => word !== '')

const plain = learnMerges(words(''), ROUNDS)
const marked = learnMerges(words('\u2581'), ROUNDS)
const suffixed = learnMerges(words(''), ROUNDS, { suffix: '</w>' })
const prefixed = learnMerges(words(''), ROUNDS, { prefix: '##' })

const bpe = (
  learned: { pieces: readonly string[]; merges: readonly unknown[] },
  options: Json = {},
  more: readonly string[] = [],
): Json => ({
  type: 'BPE',
  dropout: null,
  unk_token: '<unk>',
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  vocab: numbered(['<unk>', '<s>', '</s>', ...more, ...learned.pieces]),
  merges: learned.merges,
  ...options,
})

function unigram(options: Json, more: readonly string[] = []): Json {
  const pieces = [...new Set(['<unk>', '<s>', '</s>', ...more, ...marked.pieces])]
  // Scores that often tie, as ties are where orders matter.
  const vocab = pieces.map((piece, id) => [
    piece,
    id < 3 ? 0 : -(((id * 7) % 23) + [...piece].length / 2),
  ])
  return { type: 'Unigram', unk_id: 0, vocab, byte_fallback: false, ...options }
}

const added = (id: number, content: string, options: Json = {}): Json => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...options,
})

/** Adds tokens with the ids that the Rust library gives them: the vocabulary's own, or the next ones. */
function withAdded(json: Json, tokens: Readonly<Record<string, Json>>): Json {
  const vocab = (json.model as { vocab: Record<string, number> }).vocab
  const listed = json.added_tokens as { id: number }[]
  let next = Math.max(Object.keys(vocab).length, ...listed.map(({ id }) => id + 1))
  const more = Object.entries(tokens).map(([content, options]) => {
    return added(vocab[content] ?? next++, content, options)
  })
  return { ...json, added_tokens: [...listed, ...more] }
}

const base = (model: Json, changes: Json): Json => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model,
  ...changes,
})

const byteLevel = (changes: Json, model: Json = {}): Json => ({
  ...fixture,
  ...changes,
  model: { ...fixture.model, ...model },
})

const sequence = (...pretokenizers: Json[]): Json => ({ type: 'Sequence', pretokenizers })
const normalizers = (...members: Json[]): Json => ({ type: 'Sequence', normalizers: members })
const decoders = (...members: Json[]): Json => ({ type: 'Sequence', decoders: members })
const regex = (Regex: string, behavior = 'Isolated', invert = false): Json => ({
  type: 'Split',
  pattern: { Regex },
  behavior,
  invert,
})
const literal = (text: string, behavior = 'Isolated', invert = false): Json => ({
  type: 'Split',
  pattern: { String: text },
  behavior,
  invert,
})
const replace = (text: string, content: string): Json => ({
  type: 'Replace',
  pattern: { String: text },
  content,
})
const bytesOnly: Json = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
}
const metaspace = (prepend_scheme: string, split = true): Json => ({
  type: 'Metaspace',
  replacement: '\u2581',
  prepend_scheme,
  split,
})
const strip: Json = { type: 'Strip', content: ' ', start: 1, stop: 0 }

const template = (before: string[], after: string[] = []): Json => {
  const ids: Record<string, number> = { '<unk>': 0, '<s>': 1, '</s>': 2 }
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } })
  const single = [
    ...before.map(special),
    { Sequence: { id: 'A', type_id: 0 } },
    ...after.map(special),
  ]
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: Object.fromEntries(
      [...before, ...after].map((id) => [id, { id, ids: [ids[id]], tokens: [id] }]),
    ),
  }
}

const llama2Decoder = decoders(
  replace('\u2581', ' '),
  { type: 'ByteFallback' },
  { type: 'Fuse' },
  strip,
)
const llama2 = (model: Json, changes: Json = {}): Json =>
  base(model, {
    normalizer: normalizers({ type: 'Prepend', prepend: '\u2581' }, replace(' ', '\u2581')),
    decoder: llama2Decoder,
    ...changes,
  })

const onSpaces = (normalizer: Json): Json =>
  base(bpe(plain), {
    normalizer,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    decoder: { type: 'Fuse' },
  })

const precompiled: Json = { type: 'Precompiled', precompiled_charsmap: GOLDENS.charsmap }

/** Shapes by name. */
export const SHAPES: Readonly<Record<string, Json>> = {
  'byte-level, as GPT-2': byteLevel({ pre_tokenizer: { ...bytesOnly, use_regex: true } }),
  'byte-level with a space in front': byteLevel({
    pre_tokenizer: { ...bytesOnly, add_prefix_space: true, use_regex: true },
  }),
  'byte-level, as Llama 3': byteLevel(
    { pre_tokenizer: sequence(regex(LLAMA3), bytesOnly) },
    { ignore_merges: true },
  ),
  'byte-level, as Qwen 2 with NFC': byteLevel({
    normalizer: { type: 'NFC' },
    pre_tokenizer: sequence(regex(LLAMA3.replace('{1,3}', '')), bytesOnly),
  }),
  'byte-level, as GPT-4o': byteLevel({
    pre_tokenizer: sequence(regex(GPT4O, 'Removed', true), bytesOnly),
  }),
  'byte-level, as DeepSeek V3': byteLevel({
    pre_tokenizer: sequence(
      regex('\\p{N}{1,3}'),
      regex('[一-龥\u3040-ゟ゠-ヿ]+'),
      regex(DEEPSEEK),
      bytesOnly,
    ),
  }),
  'byte-level, as Kimi': byteLevel({ pre_tokenizer: sequence(regex(KIMI), bytesOnly) }),
  'byte-level, as SmolLM': byteLevel({
    pre_tokenizer: sequence(
      { type: 'Digits', individual_digits: true },
      { ...bytesOnly, use_regex: true },
    ),
  }),
  'byte-level, as Falcon': byteLevel({
    pre_tokenizer: sequence(
      { type: 'Punctuation', behavior: 'Contiguous' },
      { ...bytesOnly, use_regex: true },
      { type: 'Digits', individual_digits: false },
      regex('[0-9][0-9][0-9]'),
    ),
  }),
  'byte-level by its normalizer': byteLevel({
    normalizer: { type: 'ByteLevel' },
    pre_tokenizer: null,
  }),
  'byte-level with added tokens': withAdded(byteLevel({}), {
    hello: { single_word: true, special: false },
    '<strip>': { lstrip: true, rstrip: true },
    world: { lstrip: true, normalized: true, special: false },
    '\n\n': { special: false },
    '<str': { rstrip: true, special: false },
    é: { single_word: true, special: false },
  }),
  ...Object.fromEntries(
    ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'].flatMap(
      (behavior) => [
        [
          `matches ${behavior}`,
          byteLevel({
            pre_tokenizer: sequence(regex('\\d'), regex('[\\p{L}\\p{M}]', behavior), bytesOnly),
          }),
        ],
        [
          `what is not matched ${behavior}`,
          byteLevel({ pre_tokenizer: sequence(regex('\\p{L}+|\\d', behavior, true), bytesOnly) }),
        ],
        [
          `texts ${behavior}, inverted too`,
          byteLevel({
            pre_tokenizer: sequence(
              literal('.', behavior),
              literal('a', behavior, true),
              bytesOnly,
            ),
          }),
        ],
        [
          `punctuation ${behavior}`,
          byteLevel({ pre_tokenizer: sequence({ type: 'Punctuation', behavior }, bytesOnly) }),
        ],
      ],
    ),
  ),
  ...Object.fromEntries(
    ODD_EXPRESSIONS.map((expression) => [
      `cut at ${expression}`,
      byteLevel({ pre_tokenizer: sequence(regex(expression), bytesOnly) }),
    ]),
  ),
  'SentencePiece BPE with bytes, as Llama 2': llama2(
    bpe(marked, { byte_fallback: true, fuse_unk: true }, BYTES),
  ),
  'SentencePiece BPE with some bytes only': llama2(
    bpe(marked, { byte_fallback: true, fuse_unk: true }, BYTES.slice(0x20, 0xe4)),
  ),
  'SentencePiece BPE, as Gemma': base(bpe(marked, { byte_fallback: true, fuse_unk: true }, BYTES), {
    normalizer: replace(' ', '\u2581'),
    pre_tokenizer: literal(' ', 'MergedWithPrevious'),
    decoder: decoders(replace('\u2581', ' '), { type: 'ByteFallback' }, { type: 'Fuse' }),
    post_processor: template(['<s>']),
  }),
  ...Object.fromEntries(
    ['always', 'first', 'never'].flatMap((scheme) =>
      [true, false].map((split) => [
        `Metaspace ${scheme}${split ? '' : ', not split'}`,
        base(bpe(marked, { fuse_unk: split }), {
          added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>', { lstrip: true })],
          pre_tokenizer: metaspace(scheme, split),
          decoder: metaspace(scheme, split),
          post_processor: template(['<s>']),
        }),
      ]),
    ),
  ),
  'Metaspace first, after cuts': base(bpe(marked), {
    pre_tokenizer: sequence({ type: 'WhitespaceSplit' }, metaspace('first'), {
      type: 'Digits',
      individual_digits: true,
    }),
    decoder: decoders({ type: 'ByteFallback' }, metaspace('first')),
  }),
  'unknown tokens apart': base(bpe(plain), { pre_tokenizer: { type: 'Whitespace' } }),
  'unknown tokens fused': base(bpe(plain, { fuse_unk: true }), {
    pre_tokenizer: { type: 'BertPreTokenizer' },
  }),
  'unknown characters dropped': base(bpe(plain, { unk_token: null }), {
    pre_tokenizer: { type: 'CharDelimiterSplit', delimiter: 'a' },
    decoder: { type: 'Fuse' },
  }),
  'words of a fixed length': base(bpe(plain), {
    pre_tokenizer: { type: 'FixedLength', length: 3 },
    decoder: decoders(replace('a', 'b'), { type: 'Strip', content: ' ', start: 0, stop: 1 }),
  }),
  'ends of words marked': base(bpe(suffixed, { end_of_word_suffix: '</w>' }), {
    normalizer: normalizers({ type: 'NFC' }, { type: 'Lowercase' }),
    pre_tokenizer: { type: 'WhitespaceSplit' },
    decoder: { type: 'BPEDecoder', suffix: '</w>' },
  }),
  'parts of words marked': base(bpe(prefixed, { continuing_subword_prefix: '##' }), {
    pre_tokenizer: { type: 'WhitespaceSplit' },
  }),
  Unigram: base(unigram({}), {
    pre_tokenizer: metaspace('always'),
    decoder: metaspace('always'),
    post_processor: template(['<s>']),
  }),
  'Unigram with bytes': base(unigram({ byte_fallback: true }, BYTES), {
    normalizer: normalizers(
      { type: 'Nmt' },
      { type: 'NFKC' },
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
    ),
    pre_tokenizer: metaspace('first'),
    decoder: decoders({ type: 'ByteFallback' }, metaspace('first')),
  }),
  NFD: onSpaces({ type: 'NFD' }),
  NFKC: onSpaces({ type: 'NFKC' }),
  'NFKD and lower case': onSpaces(normalizers({ type: 'NFKD' }, { type: 'Lowercase' })),
  'stripped left': base(bpe(plain), {
    normalizer: { type: 'Strip', strip_left: true, strip_right: false },
    decoder: decoders({ type: 'Fuse' }, { type: 'Strip', content: ' ', start: 2, stop: 0 }),
  }),
  stripped: onSpaces({ type: 'Strip', strip_left: true, strip_right: true }),
  'added tokens in normal text': withAdded(
    base(bpe(plain), {
      added_tokens: [],
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: { type: 'Sequence', processors: [{ ...bytesOnly }, template(['<s>'])] },
    }),
    {
      '<unk>': { normalized: true },
      '<s>': {},
      '</s>': { normalized: true, rstrip: true },
      Hello: { normalized: true, special: false, single_word: true },
    },
  ),
  'Unigram behind a compiled table of characters, as T5': base(
    unigram({ byte_fallback: true }, BYTES),
    {
      normalizer: normalizers(precompiled, {
        type: 'Replace',
        pattern: { Regex: ' {2,}' },
        content: ' ',
      }),
      pre_tokenizer: metaspace('always'),
      decoder: decoders({ type: 'ByteFallback' }, metaspace('always')),
      post_processor: template([], ['</s>']),
    },
  ),
  'a compiled table of characters alone': base(bpe(plain), {
    normalizer: precompiled,
    decoder: { type: 'Fuse' },
  }),
  'several special tokens in front, one behind': byteLevel({
    post_processor: template(['<unk>', '<s>'], ['</s>']),
  }),
  'special tokens as BERT': byteLevel({
    post_processor: { type: 'BertProcessing', sep: ['</s>', 2], cls: ['<s>', 1] },
  }),
  'special tokens as RoBERTa': byteLevel({
    post_processor: {
      ...{ type: 'RobertaProcessing', trim_offsets: true, add_prefix_space: false },
      ...{ sep: ['</s>', 2], cls: ['<s>', 1] },
    },
  }),
}
