/**
 * Tokenizers put together at random: each part and each option with any others, in chains of up to four steps
 * and with added tokens that touch each other.
 */
import { randomFrom } from './random-texts.ts'
import { SHAPES } from './tokenizer-shapes.ts'

type Json = Record<string, unknown>
interface Shape {
  readonly added_tokens: readonly Json[]
  readonly model: Json & { readonly vocab: Record<string, number> | [string, number][] }
}

const SPECIALS = ['<unk>', '<s>', '</s>']
const TEXTS = [' ', 'a', '▁', '.', '\n', 'é', 'あ', '  ', '😀', 'the', 'Ġ', '-', "'", '1']
const EXPRESSIONS = (
  '\\s+|\\d|[A-Z]|\\p{L}+|\\p{N}{1,3}| ?[^\\s]+|.|^.|.$|\\s+(?!\\S)|[^\\p{L}]|\\p{Han}|[\\p{P}\\p{S}]|\\r?\\n|' +
  '(?i)HELLO|[[:space:]]|\\p{M}| {2,}|\\u3042|\\x{3042}|[あ-ん]+|\\h|\\p{Greek}|(?<!\\d)\\d'
).split('|')
/** The Rust library ends the process where a normalizer replaces nothing by something. */
const MATCHING_NOTHING = ['\\b', '(?=a)', 'x*', '\\p{Lu}?\\p{Ll}*']
const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']
const SCHEMES = ['first', 'always', 'never']
/** What added tokens are called; some of it is in vocabularies too, and some of it contains some other. */
export const CONTENTS: readonly string[] = [
  ...[
    'hello',
    ' hello',
    'hello ',
    '<|end|>',
    '<tag>',
    '\n\n',
    'é',
    'e\u0301',
    'Hello',
    'HELLO',
    '  ',
    '。',
  ],
  ...[
    'あい',
    'the',
    '😀',
    'ab',
    'abc',
    'b',
    'ﬁ',
    '[X]',
    "'s",
    '12',
    '▁the',
    '<s>x',
    'ſ',
    'İ',
    'ß',
    'ㄱ',
  ],
]

/** The different models of the shapes by hand. */
const MODELS: readonly Shape[] = (() => {
  const byKind = new Map<string, Shape>()
  for (const shape of Object.values(SHAPES) as unknown as Shape[]) {
    const { vocab, merges, ...options } = shape.model
    const kind = JSON.stringify([options, Object.keys(vocab).length, (merges as [])?.length])
    if (!byKind.has(kind)) byKind.set(kind, shape)
  }
  return [...byKind.values()]
})()

/** A tokenizer.json that the Rust library reads. */
export function randomTokenizer(seed: number): Json {
  const random = randomFrom(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]
  const chance = (share: number) => random() < share
  const flag = () => chance(0.5)
  const upTo = (limit: number) => Math.floor(random() * (limit + 1))
  const expression = () => pick(chance(0.1) ? MATCHING_NOTHING : EXPRESSIONS)
  const pattern = (regex = expression) => (flag() ? { String: pick(TEXTS) } : { Regex: regex() })
  const metaspace = (): Json => ({
    type: 'Metaspace',
    replacement: pick(['▁', '▁', '_', 'Ġ']),
    prepend_scheme: pick(SCHEMES),
    split: flag(),
  })

  const normalizer = (): Json => {
    const type = pick([
      ...[
        'NFC',
        'NFD',
        'NFKC',
        'NFKD',
        'Lowercase',
        'Strip',
        'Prepend',
        'Replace',
        'Nmt',
        'ByteLevel',
      ],
    ])
    if (type === 'Strip') return { type, strip_left: flag(), strip_right: flag() }
    if (type === 'Prepend') return { type, prepend: pick(['▁', ' ', 'a', 'xx', 'é']) }
    if (type !== 'Replace') return { type }
    const content = pick(['', ' ', '▁', 'a', 'zz', '\\1', '$1', '$&'])
    return { type, pattern: pattern(() => pick(EXPRESSIONS)), content }
  }

  const preTokenizer = (): Json => {
    const type = pick([
      ...['ByteLevel', 'Metaspace', 'Split', 'Split', 'Digits', 'Punctuation', 'Whitespace'],
      ...['WhitespaceSplit', 'BertPreTokenizer', 'CharDelimiterSplit', 'FixedLength'],
    ])
    switch (type) {
      case 'ByteLevel':
        return { type, add_prefix_space: flag(), trim_offsets: flag(), use_regex: flag() }
      case 'Metaspace':
        return metaspace()
      case 'Split':
        return { type, pattern: pattern(), behavior: pick(BEHAVIORS), invert: flag() }
      case 'Digits':
        return { type, individual_digits: flag() }
      case 'Punctuation':
        return { type, behavior: pick(BEHAVIORS) }
      case 'CharDelimiterSplit':
        return { type, delimiter: pick([' ', 'a', '▁', 'あ', '😀']) }
      case 'FixedLength':
        return { type, length: 1 + upTo(4) }
      default:
        return { type }
    }
  }

  const decoder = (): Json => {
    const type = pick([
      ...['ByteLevel', 'ByteFallback', 'Fuse', 'Metaspace', 'Replace', 'Strip', 'BPEDecoder'],
    ])
    const options: Readonly<Record<string, () => Json>> = {
      ByteLevel: () => ({ add_prefix_space: true, trim_offsets: true, use_regex: true }),
      Metaspace: metaspace,
      Replace: () => ({ pattern: pattern(), content: pick(['', ' ', '▁', 'a']) }),
      // Of an empty token the Rust library takes more than there is.
      Strip: () => ({ content: pick([' ', 'a', '▁']), start: upTo(2), stop: 0 }),
      BPEDecoder: () => ({ suffix: pick(['</w>', '▁', 'a']) }),
    }
    return { type, ...options[type]?.() }
  }

  const chain = (make: () => Json, members: string, noneAt: number): Json | null => {
    if (chance(noneAt)) return null
    if (flag()) return make()
    const steps = Array.from({ length: 1 + upTo(2) }, make)
    if (chance(0.1)) steps.push({ type: 'Sequence', [members]: [make(), make()] })
    return { type: 'Sequence', [members]: steps }
  }

  const { model: found, added_tokens } = pick(MODELS)
  const { vocab } = found
  const ids = Array.isArray(vocab)
    ? Object.fromEntries(vocab.map(([piece], id) => [piece, id]))
    : vocab
  const model = { ...found }
  if (flag()) model['byte_fallback'] = flag()
  if (flag() && model['type'] === 'BPE') {
    Object.assign(model, { fuse_unk: flag(), ignore_merges: flag() })
    if ('<unk>' in ids) model['unk_token'] = pick(['<unk>', null])
  }

  const flags = (share: number) => ({
    single_word: chance(share),
    lstrip: chance(share),
    rstrip: chance(share),
    normalized: flag(),
  })
  const own = added_tokens.filter(({ id }) => Number(id) < SPECIALS.length)
  const tokens: Json[] = own.map((token) => ({ ...token, ...flags(0.2) }))
  const names = new Set(own.map(({ content }) => content))
  let next = Math.max(...Object.values(ids), ...own.map(({ id }) => Number(id))) + 1
  for (let count = upTo(4); count > 0; count--) {
    const content = pick(CONTENTS)
    if (names.has(content)) continue
    names.add(content)
    // A special token of one character is never found here.
    const special = content.length > 1 && chance(0.4)
    tokens.push({ id: ids[content] ?? next++, content, ...flags(0.3), special })
  }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: tokens,
    normalizer: chain(normalizer, 'normalizers', 0.3),
    pre_tokenizer: chain(preTokenizer, 'pretokenizers', 0.15),
    post_processor: null,
    decoder: chain(decoder, 'decoders', 0.2),
    model,
  }
}
