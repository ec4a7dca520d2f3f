/** Schemas and what may be written by them, drawn at random over a vocabulary of bytes and of longer tokens. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { SCHEMAS } from '../../test/support/schemas.ts'
import { Random } from '../generate/sample/random.ts'
import { Grammar, type GrammarOptions } from './grammar.ts'
import { Lexicon } from './lexicon.ts'

const STOP = 256
const LONGER = [
  '", "',
  '": ',
  '{"',
  '"}',
  '}, {',
  'name',
  'true',
  'level',
  ' the',
  'の',
  '日本',
  '\\n',
  '😀',
  '12',
  '.5',
  // Texts that end, or break off within an escape.
  'ab"',
  'x\\',
  '\\u00',
  '\\u00e9y", "',
  '\\"a',
]
const encoder = new TextEncoder()
const TOKENS = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  new Uint8Array(0),
  ...LONGER.map((text) => encoder.encode(text)),
  // Parts of characters, with something before or behind them.
  Uint8Array.of(0x61, 0xe3, 0x81),
  Uint8Array.of(0xae, 0x22, 0x7d),
]
const lexicon = new Lexicon(TOKENS.length, (id) => TOKENS[id], [STOP])
const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)

interface Draw {
  readonly seed?: number
  readonly maxTokens?: number
  readonly options?: GrammarOptions
}

/** Draws tokens that may come, until nothing may, a stop token is drawn, or there are none left. */
function draw(schema: unknown, { seed = 1, maxTokens = 200, options }: Draw = {}) {
  const matcher = new Grammar(schema, lexicon, options).matcher(maxTokens)
  const random = new Random(seed)
  const tokens: number[] = []
  while (tokens.length < maxTokens && !matcher.isDone(tokens)) {
    const allowed = idsIn(matcher.allowed(tokens))
    expect(allowed.length, textOf(tokens)).toBeGreaterThan(0)
    const id = allowed[random.nextUint32() % allowed.length]
    if (id === STOP) break
    tokens.push(id)
  }
  return { text: textOf(tokens), isWhole: matcher.isWhole(tokens), tokens }
}

function idsIn(mask: Uint32Array | undefined): number[] {
  return TOKENS.flatMap((_, id) =>
    mask === undefined || (mask[id >> 5] >>> (id & 31)) & 1 ? [id] : [],
  )
}

function textOf(tokens: readonly number[]): string {
  const bytes = tokens.flatMap((id) => [...TOKENS[id]])
  return new TextDecoder('utf-8').decode(Uint8Array.from(bytes))
}

/** Whether a text can be written, by single bytes. */
function takes(schema: unknown, text: string, options?: GrammarOptions): boolean {
  const matcher = new Grammar(schema, lexicon, options).matcher(10_000)
  return matcher.isWhole([...encoder.encode(text)])
}

describe.each(Object.entries(SCHEMAS))('%s', (_, schema) => {
  test('whatever is drawn is valid, and is whole before the tokens are used up', () => {
    const validate = ajv.compile(schema)
    const least = new Grammar(schema, lexicon).start.need
    for (let seed = 0; seed < 12; seed++) {
      const maxTokens = seed % 3 === 0 ? least : least + 15 * seed
      const { text, isWhole } = draw(schema, { seed, maxTokens })
      expect(isWhole, text).toBe(true)
      expect(validate(JSON.parse(text)), `${text} ${ajv.errorsText(validate.errors)}`).toBe(true)
    }
  })
})

test('with too few tokens for any end it goes the shortest way', () => {
  const { text, isWhole } = draw(SCHEMAS.person, { maxTokens: 9 })
  expect([text.startsWith('{"name":'), isWhole]).toEqual([true, false])
})

test('a text too long for the tokens there are is written as far as they reach', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { tokens, isWhole } = draw({ type: 'string', minLength: 90 }, { seed, maxTokens: 9 })
    expect([tokens.length, isWhole]).toEqual([9, false])
  }
  // Within reach of long tokens alone.
  const tight = draw({ type: 'string', minLength: 14 }, { maxTokens: 9 })
  expect(JSON.parse(`${tight.text.replace(/"$/, '')}"`).length).toBeGreaterThan(9)
})

test.each(Object.entries(SCHEMAS))('masks of %s are what trying each token gives', (_, schema) => {
  const random = new Random(7)
  for (let answer = 0; answer < 3; answer++) {
    const grammar = new Grammar(schema, lexicon)
    let state = grammar.start
    for (let step = 0; step < 60 && !grammar.isDone(state); step++) {
      for (const left of [10_000, state.need + 4, state.need + 1, state.need]) {
        const tried = TOKENS.flatMap((bytes, id) => {
          const next = bytes.length > 0 && id !== STOP && grammar.stepToken(state, bytes)
          return next && next.need <= left ? [id] : []
        })
        const expected = state.mayEnd ? [...tried, STOP].sort((a, b) => a - b) : tried
        if (expected.length > 0) expect(idsIn(grammar.allowed(state, left))).toEqual(expected)
      }
      const next = idsIn(grammar.allowed(state, 10_000)).filter((id) => id !== STOP)
      if (next.length === 0) break
      const bytes = TOKENS[next[random.nextUint32() % next.length]]
      state = grammar.stepToken(state, bytes) ?? grammar.start
    }
  }
})

describe('what may be written', () => {
  test.each<[string, unknown, string, boolean]>([
    ['zero is below 1', { type: 'integer', minimum: 1 }, '0', false],
    ['ten is not', { type: 'integer', minimum: 1 }, '10', true],
    ['a number above nothing', { type: 'number', exclusiveMinimum: 0 }, '0.00', false],
    ['nor one below', { type: 'integer', maximum: -1 }, '-0', false],
    ['a negative one', { type: 'integer', maximum: -1 }, '-100', true],
    ['any number', { type: 'number' }, '-100.050', true],
    ['minus nothing', { type: 'number' }, '-0.0', false],
    ['no option of another type', { type: 'string', anyOf: [{ type: 'integer' }, {}] }, '5', false],
    ['one space behind a comma or colon', { type: 'object' }, '{"a": 1, "b": [1, 2]}', true],
    ['no two', { type: 'object' }, '{"a":  1}', false],
    ['escapes', { type: 'string' }, '"\\u3042\\n\\\\\\""', true],
    ['no half of a surrogate pair', { type: 'string' }, '"\\ud83d"', false],
    ['length counts characters', { type: 'string', maxLength: 2 }, '"😀\\u3042"', true],
    ['and no more of them', { type: 'string', maxLength: 2 }, '"ab😀"', false],
    ['no control character', { type: 'string' }, '"a\nb"', false],
    ['no zero in front', { type: 'integer' }, '01', false],
    ['nor minus nothing', { type: 'integer' }, '-0', false],
    ['an exponent', { type: 'number' }, '-1.5e-12', true],
    ['not beside bounds', { type: 'number', minimum: 0 }, '1e3', false],
    ['a bound that is a fraction', { type: 'number', maximum: 0.3 }, '0.300000', true],
    ['and nothing beyond it', { type: 'number', maximum: 0.3 }, '0.300001', false],
    ['a pattern anywhere', { type: 'string', pattern: 'b+' }, '"abba"', true],
    ['at the end', { type: 'string', pattern: 'b$' }, '"abba"', false],
    ['with choices', { type: 'string', pattern: '^(?:a|bc)*$' }, '"abcbca"', true],
    ['not what looks ahead forbids', { type: 'string', pattern: '^(?!ab)[a-z]*$' }, '"abc"', false],
    ['sets and properties', { type: 'string', pattern: '^[\\p{Lu}_-]\\W$' }, '"Ä!"', true],
    [
      'a name that is in the schema not as another one',
      {
        type: 'object',
        properties: { a: { type: 'null' } },
        additionalProperties: { type: 'integer' },
      },
      '{"b":1,"\\u0061":2}',
      false,
    ],
    [
      'other names behind those',
      {
        type: 'object',
        properties: { a: { type: 'null' } },
        additionalProperties: { type: 'integer' },
      },
      '{"a":null,"b":1}',
      true,
    ],
    [
      'no other names unless that is said',
      { type: 'object', properties: { a: { type: 'null' } } },
      '{"b":1}',
      false,
    ],
    [
      'a tuple of older drafts',
      { type: 'array', items: [{ type: 'null' }], additionalItems: { const: 1 } },
      '[null,1,1]',
      true,
    ],
    ['any value without a schema', true, '[{"a":null},-3,"x"]', true],
  ])('%s', (_, schema, text, isTaken) => {
    expect(takes(schema, text)).toBe(isTaken)
  })

  test('text beside a value, if that is asked for', () => {
    const schema = { type: 'object', properties: { a: { const: 1 } }, required: ['a'] }
    const options = { orText: true }
    expect(takes(schema, 'Hello {', options)).toBe(true)
    expect(takes(schema, '{"a":1}', options)).toBe(true)
    expect(takes(schema, '{"b":1}', options)).toBe(false)
    expect(takes(schema, ' {"b":1}', options)).toBe(false)
    expect(draw(schema, { options, seed: 4 }).text).not.toMatch(/^\s/)
  })
})

describe('what is refused, with its place', () => {
  const chain = (depth: number): unknown =>
    depth === 0 ? { type: 'null' } : { type: 'array', items: chain(depth - 1) }
  test.each<[string, unknown, string]>([
    [
      'a word that cannot be held',
      { type: 'object', properties: { a: { not: {} } } },
      '#/properties/a has "not"',
    ],
    ['unique items', { type: 'array', uniqueItems: true }, '# has "uniqueItems"'],
    ['a reference to elsewhere', { $ref: 'https://x.example/y' }, '#/$ref leads out'],
    ['a reference to nothing', { $ref: '#/$defs/x' }, '#/$ref leads to nothing'],
    ['a reference to a method', { $ref: '#/constructor' }, '#/$ref leads to nothing'],
    ['a reference to itself', { $ref: '#' }, '#'],
    ['nothing at all', { type: 'integer', minimum: 3, maximum: 2 }, '# allows no number'],
    ['a pattern that nothing is of', { type: 'string', pattern: 'a^b' }, '#/pattern has a pattern'],
    ['contradictions', { type: 'string', pattern: '^a$', minLength: 2 }, 'allows no value'],
    ['two types', { allOf: [{ type: 'string' }, { type: 'integer' }] }, 'allows no value'],
    ['no pattern', { type: 'string', pattern: '(' }, '#/pattern has a pattern that is no'],
    ['what looks behind', { type: 'string', pattern: '(?<=a)b' }, 'looks behind'],
    ['repetitions without end', { type: 'string', pattern: 'a{99999}' }, 'repetitions'],
    [
      'an endless type',
      {
        $defs: { a: { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, required: ['a'] } },
        $ref: '#/$defs/a',
      },
      'allows no value',
    ],
    [
      'what could be two of oneOf',
      { oneOf: [{ type: 'number' }, { type: 'integer' }] },
      '#/oneOf has options',
    ],
    ['great depth', chain(100), 'lies deeper than 64'],
    [
      'thousands of properties',
      { required: Array.from({ length: 2001 }, (_, i) => `p${i}`) },
      'has more than 2000',
    ],
    ['no type of JSON', { type: 'text' }, '#/type is none'],
    ['no schema', { type: 'array', items: 3 }, '#/items is no schema'],
    [
      'many constants of a format that is not known',
      { type: 'string', format: 'regex' },
      '#/format',
    ],
    ['a length that is none', { type: 'string', minLength: -1 }, '#/minLength is no whole number'],
  ])('%s', (_, schema, message) => {
    expect(() => new Grammar(schema, lexicon)).toThrow(message)
  })

  test('a pattern of exponentially many states ends in words', () => {
    const schema = {
      type: 'string',
      pattern: `^(?=(?:.{2}){3,900}$)(?!.*a.{900}b).*(a|b).{60}c(?=.*d.{50}e)`,
    }
    expect(() => draw(schema, { maxTokens: 1500 })).toThrow('takes too much work')
  })
})

test('wrong guesses are no matter, and the state follows what was really drawn', () => {
  const matcher = new Grammar({ enum: ['abc', 'abd'] }, lexicon).matcher(20)
  const tokens = [...encoder.encode('"ab')]
  const allowed = () => idsIn(matcher.allowed(tokens)).map((id) => String.fromCharCode(id))
  expect(allowed()).toEqual(['c', 'd'])
  expect(matcher.allowed([...tokens, 120, 120])).toBeUndefined()
  expect(allowed()).toEqual(['c', 'd'])
  tokens.push(100, 34)
  expect(matcher.isDone(tokens)).toBe(true)
})
