import { describe, expect, test } from 'vitest'
import { FormatError } from '../errors.ts'
import { tokenizerFromJson } from './open-tokenizer.ts'
import type { JsonTokenizerFiles } from './read-json.ts'

const added = (id: number, content: string, special = true) => ({ id, content, special })

/** A tiny byte-level BPE over a, b, c. */
function tiny(changes: Record<string, unknown> = {}, model: Record<string, unknown> = {}) {
  return {
    added_tokens: [added(4, '<s>'), added(5, '</s>'), added(6, '<|im_end|>')],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2, ab: 3 }, merges: [['a', 'b']], ...model },
    ...changes,
  }
}

/** Llama 2's form: spaces as U+2581, one in front, bytes for what is missing. */
function metaspace() {
  const vocab: Record<string, number> = { '<unk>': 0, '\u2581': 1, a: 2, '\u2581a': 3 }
  for (let byte = 0; byte < 256; byte++) {
    vocab[`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`] = 4 + byte
  }
  return {
    added_tokens: [added(0, '<unk>'), added(260, '<s>')],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '\u2581' },
        { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
      ],
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: { type: 'BPE', unk_token: '<unk>', byte_fallback: true, vocab, merges: ['\u2581 a'] },
  }
}

const BEGIN = { SpecialToken: { id: '<s>', type_id: 0 } }
const TEXT = { Sequence: { id: 'A', type_id: 0 } }

describe('tokenizerFromJson', () => {
  test('reads a vocabulary, its merges and its size', () => {
    const tokenizer = tokenizerFromJson({ tokenizerJson: tiny() })
    expect(tokenizer.encode('abc')).toEqual([3, 2])
    expect(tokenizer.vocabSize).toBe(7)
    expect(tokenizer.description).toBe('tokenizer.json: BPE, 7 tokens')
  })

  test('the end token of embedded texts is the one that the post-processor puts after a text', () => {
    const special_tokens = { '</s>': { id: '</s>', ids: [5], tokens: ['</s>'] } }
    const [text, end] = [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '</s>' } }]
    const endOf = (single: unknown) => {
      const step = { type: 'TemplateProcessing', single, special_tokens }
      return tokenizerFromJson({ tokenizerJson: tiny({ post_processor: step }) }).endId
    }
    expect(endOf([text, end])).toBe(5)
    expect(endOf([text])).toBeUndefined()
    // The Rust library would leave the text out.
    expect(() => endOf([end])).toThrow('to be the text once')
    const tokenizerConfig = { add_eos_token: true, eos_token: '</s>' }
    expect(tokenizerFromJson({ tokenizerJson: tiny(), tokenizerConfig }).endId).toBe(5)
  })

  test.each<[string, unknown]>([
    ['the text twice', { type: 'TemplateProcessing', single: [TEXT, TEXT], special_tokens: {} }],
    ['another text', { type: 'TemplateProcessing', single: [{ Sequence: { id: 'B' } }] }],
    ['no name', { type: 'TemplateProcessing', single: [{}], special_tokens: {} }],
    [
      'an unlisted token',
      { type: 'TemplateProcessing', single: [BEGIN, TEXT], special_tokens: {} },
    ],
    [
      'an id beyond the vocabulary',
      {
        type: 'TemplateProcessing',
        single: [BEGIN, TEXT],
        special_tokens: { '<s>': { id: '<s>', ids: [700], tokens: ['<s>'] } },
      },
    ],
    [
      'two tokens behind the text',
      {
        type: 'TemplateProcessing',
        single: [TEXT, BEGIN, BEGIN],
        special_tokens: { '<s>': { id: '<s>', ids: [4], tokens: ['<s>'] } },
      },
    ],
    ['BERT without a token', { type: 'BertProcessing', sep: ['</s>', 5] }],
    [
      'two steps that add tokens',
      {
        type: 'Sequence',
        processors: Array.from({ length: 2 }, () => {
          return { type: 'BertProcessing', sep: ['</s>', 5], cls: ['<s>', 4] }
        }),
      },
    ],
    ['another kind', { type: 'PairProcessing' }],
    ['no kind', {}],
    ['a Sequence without steps', { type: 'Sequence' }],
    [
      'Sequences without end',
      Array.from({ length: 5000 }).reduce((inner) => {
        return { type: 'Sequence', processors: [inner] }
      }, null),
    ],
  ])('a post-processor with %s is refused', (_, post_processor) => {
    const load = () => tokenizerFromJson({ tokenizerJson: tiny({ post_processor }) })
    expect(load).toThrow(FormatError)
    expect(load).toThrow('post_processor')
  })

  test('the begin token is wanted if the post-processor or the configuration puts it there', () => {
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
      special_tokens: { '<s>': { id: '<s>', ids: [4], tokens: ['<s>'] } },
    }
    const chain = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] }
    const encode = (files: JsonTokenizerFiles) => tokenizerFromJson(files).encode('c')
    expect(encode({ tokenizerJson: tiny({ post_processor: template }) })).toEqual([4, 2])
    expect(encode({ tokenizerJson: tiny({ post_processor: chain }) })).toEqual([4, 2])
    const config = { bos_token: { content: '<s>' }, add_bos_token: true }
    expect(encode({ tokenizerJson: tiny(), tokenizerConfig: config })).toEqual([4, 2])
    expect(encode({ tokenizerJson: tiny(), tokenizerConfig: { bos_token: '<s>' } })).toEqual([2])
  })

  test('end tokens come from all files and from well-known names', () => {
    const tokenizer = tokenizerFromJson({
      tokenizerJson: tiny(),
      tokenizerConfig: { eos_token: '</s>' },
      generationConfig: { eos_token_id: [2, 5] },
      config: { eos_token_id: 1 },
    })
    expect(tokenizer.stopIds).toEqual([1, 2, 5, 6])
  })

  test('an end token of the ordinary vocabulary is not made by text', () => {
    const config = { eos_token_id: 3 }
    const tokenizer = tokenizerFromJson({ tokenizerJson: tiny(), config })
    expect(tokenizer.encode('ab')).toEqual([0, 1])
    expect(tokenizer.encode('ab', { parseSpecial: true })).toEqual([3])
  })

  test('an end token of one character is not made by text either', () => {
    const tokenizer = tokenizerFromJson({ tokenizerJson: tiny(), config: { eos_token_id: 0 } })
    expect(tokenizer.encode('caca')).toEqual([2, 2])
  })

  test('text becomes the unknown token where the vocabulary lacks a character', () => {
    const { model, decoder: _, ...rest } = metaspace()
    const vocab = { '<unk>': 0, '\u2581': 1, a: 2, '\u2581a': 3 }
    const added_tokens = [added(0, '<unk>')]
    const changed = { ...rest, added_tokens, model: { ...model, vocab, byte_fallback: false } }
    const tokenizer = tokenizerFromJson({ tokenizerJson: changed })
    expect(tokenizer.encode('aé')).toEqual([3, 0])
  })

  test('spaces and bytes of a SentencePiece vocabulary come back as they were', () => {
    const tokenizer = tokenizerFromJson({ tokenizerJson: metaspace() })
    for (const text of ['a a', ' a', 'é', '日本 😀a', 'a\n']) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    }
    expect(tokenizer.encode('a')).toEqual([3])
  })

  test('a space in front of the first stretch only stays with that', () => {
    const { normalizer: _, ...rest } = metaspace()
    const first = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'first' }
    const tokenizer = tokenizerFromJson({ tokenizerJson: { ...rest, pre_tokenizer: first } })
    expect(tokenizer.encode('a<s>a', { parseSpecial: true })).toEqual([3, 260, 2])
  })

  test('a stream that continues a text keeps the space in front', () => {
    const tokenizer = tokenizerFromJson({ tokenizerJson: metaspace() })
    expect(tokenizer.stream().push(3)).toBe('a')
    expect(tokenizer.stream({ continues: true }).push(3)).toBe(' a')
    const stream = tokenizer.stream()
    expect([3, 3, 2].map((id) => stream.push(id))).toEqual(['a', ' a', 'a'])
    expect(tokenizer.decode([3])).toBe('a')
  })

  test('a named list of templates gives the default one', () => {
    const chat_template = [
      { name: 'tool_use', template: 'x' },
      { name: 'default', template: '{{ 1 }}' },
    ]
    const files = { tokenizerJson: tiny(), tokenizerConfig: { chat_template } }
    expect(tokenizerFromJson(files).chatTemplate).toBe('{{ 1 }}')
    expect(tokenizerFromJson({ ...files, chatTemplate: 'own' }).chatTemplate).toBe('own')
  })

  test.each<[ids: string, listed: readonly [number, string][], wanted: readonly number[]]>([
    [
      'with a hole',
      [
        [4, '<s>'],
        [9, '<x>'],
      ],
      [4, 5],
    ],
    [
      'in another order',
      [
        [5, '<s>'],
        [4, '<x>'],
      ],
      [4, 5],
    ],
    [
      'that are the vocabulary’s',
      [
        [7, 'c'],
        [4, '<x>'],
      ],
      [2, 4],
    ],
    [
      'twice',
      [
        [4, '<s>'],
        [5, '<s>'],
        [6, '<x>'],
      ],
      [4, 4, 5],
    ],
  ])('added tokens with ids %s have those of the Rust library', (_, listed, wanted) => {
    const added_tokens = listed.map(([id, content]) => added(id, content, false))
    const tokenizer = tokenizerFromJson({ tokenizerJson: tiny({ added_tokens }) })
    expect(listed.flatMap(([, content]) => tokenizer.encode(content))).toEqual(wanted)
  })

  test('an added token that would get the id of a piece is refused', () => {
    const tokenizerJson = tiny(
      { added_tokens: [added(0, '<s>')] },
      { vocab: { a: 1, b: 2 }, merges: [] },
    )
    expect(() => tokenizerFromJson({ tokenizerJson })).toThrow('"<s>", which gets the id 2')
  })

  const hello = [{ role: 'user', content: 'a' }] as const
  const tools = [{ type: 'function' }]
  test.each<[string, unknown]>([
    [
      'a list',
      [
        { name: 'tool_use', template: '{% if tools %}b{% endif %}' },
        { name: 'default', template: 'c' },
      ],
    ],
    ['an object', { default: 'c', tool_use: '{% if tools %}b{% endif %}' }],
  ])('of %s of templates conversations with tools take their own', (_, chat_template) => {
    const files = { tokenizerJson: tiny(), tokenizerConfig: { chat_template } }
    const tokenizer = tokenizerFromJson(files)
    expect(tokenizer.encodeChat(hello)).toEqual([2])
    expect(tokenizer.encodeChat(hello, { tools })).toEqual([1])
    const own = tokenizerFromJson({ ...files, chatTemplate: 'a' })
    expect(() => own.encodeChat(hello, { tools })).toThrow('never looks at them')
  })

  test('of several templates none is taken for the default one', () => {
    const chat_template = { tool_use: 'x', rag: 'y' }
    const files = { tokenizerJson: tiny(), tokenizerConfig: { chat_template } }
    expect(() => tokenizerFromJson(files)).toThrow('called "default", got 2: "tool_use, rag"')
    const alone = { chat_template: { rag: 'y' } }
    expect(tokenizerFromJson({ ...files, tokenizerConfig: alone }).chatTemplate).toBe('y')
  })

  test('templates know every token that is named', () => {
    const chat_template = '{{ sep_token }}{{ cls_token }}{{ mask_token }}{{ unk_token }}'
    const names = { sep_token: 'a', cls_token: { content: 'b' }, mask_token: 'c', unk_token: 'a' }
    const files = { tokenizerJson: tiny(), tokenizerConfig: { chat_template, ...names } }
    expect(tokenizerFromJson(files).encodeChat(hello)).toEqual([3, 2, 0])
  })

  const many = Array.from({ length: 70_000 }, (_, i) => added(i, `t${i}`))
  test.each([
    ['a file that is no object', [], 'tokenizer.json'],
    ['a missing model', tiny({ model: null }), 'model'],
    ['another type of model', tiny({}, { type: 'WordPiece' }), 'model.type'],
    ['a negative id', tiny({}, { vocab: { a: -1 } }), 'model.vocab'],
    ['a giant id', tiny({}, { vocab: { a: 2 ** 40 } }), 'model.vocab'],
    ['an id that is text', tiny({}, { vocab: { a: '0' } }), 'model.vocab'],
    ['a giant piece', tiny({}, { vocab: { ['x'.repeat(5000)]: 0 } }), 'model.vocab'],
    ['merges that are no list', tiny({}, { merges: 'a b' }), 'model.merges'],
    ['a merge of numbers', tiny({}, { merges: [['a', 1]] }), 'model.merges'],
    [
      'more merges than any model has',
      tiny({}, { merges: new Array((1 << 22) + 1).fill('a b') }),
      'model.merges',
    ],
    ['merges of mixed forms', tiny({}, { merges: [['a', 'b'], 'a b'] }), 'model.merges'],
    ['a damaged added token', tiny({ added_tokens: [{ id: 1 }] }), 'added_tokens'],
    ['too many added tokens', tiny({ added_tokens: many }), 'added_tokens'],
    [
      'an added token with a giant id',
      tiny({ added_tokens: [added(2 ** 40, 'x')] }),
      'added_tokens',
    ],
    ['an added token with a negative id', tiny({ added_tokens: [added(-1, 'x')] }), 'added_tokens'],
    [
      'a piece of a Unigram vocabulary without a score',
      tiny({}, { type: 'Unigram', vocab: [['a', 0], ['b']], unk_id: 0 }),
      'model.vocab',
    ],
    ['an unknown decoder', tiny({ decoder: { type: 'WordPiece' } }), 'decoder'],
    ['an unknown normaliser', tiny({ normalizer: { type: 'Odd' } }), 'tokenizer.json'],
    [
      'a broken expression',
      tiny({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(' } } }),
      'tokenizer.json',
    ],
  ])('%s is an error that names the part', (_, tokenizerJson, field) => {
    const load = () => tokenizerFromJson({ tokenizerJson })
    expect(load).toThrow(FormatError)
    expect(load).toThrow(expect.objectContaining({ field }))
  })

  test('end tokens that are no ids are an error', () => {
    const generationConfig = { eos_token_id: ['x'] }
    expect(() => tokenizerFromJson({ tokenizerJson: tiny(), generationConfig })).toThrow(
      FormatError,
    )
  })

  test('pieces named like parts of JavaScript objects are pieces', () => {
    const vocab = JSON.parse('{"__proto__": 0, "constructor": 1, "a": 2}')
    const tokenizer = tokenizerFromJson({ tokenizerJson: tiny({}, { vocab, merges: [] }) })
    expect(tokenizer.tokenText(0)).toBe('__proto__')
    expect(tokenizer.encode('a')).toEqual([2])
  })
})
