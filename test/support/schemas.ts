/** Twenty schemas as people write them: nested, with constants, lists, choices, references, patterns and Unicode. */
import type { JsonSchema } from '../../src/generate/schema/answer-schema.ts'

const object = (properties: Record<string, unknown>, more: object = {}): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
})
const text = { type: 'string' }
const short = { type: 'string', maxLength: 12 }

export const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  person: object({ name: text, age: { type: 'integer', minimum: 0, maximum: 150 } }),
  optional: object(
    { id: { type: 'integer' }, nick: short, mail: { type: 'string', format: 'email' } },
    { required: ['id'] },
  ),
  nested: object({ a: object({ b: object({ c: object({ d: { type: 'boolean' } }) }) }), e: short }),
  list: { type: 'array', items: short, minItems: 2, maxItems: 5 },
  objects: {
    type: 'array',
    items: object({ x: { type: 'number' }, y: { type: 'number' } }),
    minItems: 1,
  },
  constants: { enum: ['red', 'green', 'blue', 'green and blue', 7, null, { a: [1, 2] }] },
  unicode: object({
    名前: { type: 'string', minLength: 1, maxLength: 8 },
    性別: { enum: ['男性', '女性', 'その他'] },
    'emoji 😀': { const: '🎉"\\\n' },
  }),
  union: { anyOf: [text, { type: 'integer' }, object({ kind: { const: 'x' }, of: short })] },
  tagged: {
    oneOf: [
      object({ type: { const: 'circle' }, radius: { type: 'number', exclusiveMinimum: 0 } }),
      object({ type: { const: 'square' }, side: { type: 'number', minimum: 0.5, maximum: 2.25 } }),
    ],
  },
  nullable: object({ maybe: { type: ['string', 'null'] }, count: { type: ['integer', 'null'] } }),
  pattern: object({
    code: { type: 'string', pattern: '^[A-Z]{2}-\\d{3,5}$' },
    kana: { type: 'string', pattern: '^[ぁ-んー]{2,6}$' },
    password: { type: 'string', pattern: '^(?=.*[0-9])(?=.*[a-z])[a-z0-9]{6,10}$' },
  }),
  formats: object({
    day: { type: 'string', format: 'date' },
    at: { type: 'string', format: 'date-time' },
    id: { type: 'string', format: 'uuid' },
    host: { type: 'string', format: 'ipv4' },
  }),
  numbers: object({
    small: { type: 'number', minimum: -0.5, maximum: 0.25 },
    seven: { type: 'integer', exclusiveMinimum: -3, multipleOf: 7 },
    near: { type: 'integer', minimum: 998, maximum: 1003 },
    any: { type: 'number' },
  }),
  tuple: {
    type: 'array',
    prefixItems: [{ type: 'boolean' }, { const: null }, short],
    items: { type: 'integer', minimum: 0, maximum: 9 },
    minItems: 4,
    maxItems: 8,
  },
  record: {
    type: 'object',
    propertyNames: { pattern: '^[a-z]{1,5}$' },
    additionalProperties: { type: 'boolean' },
    minProperties: 1,
    maxProperties: 4,
  },
  tree: {
    $ref: '#/$defs/node',
    $defs: {
      node: object({
        value: { type: 'integer', minimum: -9, maximum: 9 },
        children: { type: 'array', items: { $ref: '#/$defs/node' } },
      }),
    },
  },
  merged: {
    allOf: [
      { $ref: '#/definitions/named' },
      { properties: { size: { enum: ['S', 'M', 'L'] } }, required: ['size'] },
    ],
    definitions: { named: { type: 'object', properties: { name: short }, required: ['name'] } },
  },
  anything: { type: 'object' },
  deep: [1, 2, 3, 4, 5, 6, 7, 8].reduce<JsonSchema>(
    (inner, level) => object({ [`level${level}`]: inner }),
    { type: 'boolean' },
  ),
  extraction: object({
    title: { type: 'string', minLength: 1, maxLength: 30 },
    tags: { type: 'array', items: { enum: ['news', 'sport', '技術', 'その他'] }, maxItems: 3 },
    people: {
      type: 'array',
      items: object({ name: short, role: { anyOf: [{ const: 'author' }, short] } }),
      maxItems: 2,
    },
    score: { type: 'number', minimum: 0, maximum: 1 },
  }),
}
