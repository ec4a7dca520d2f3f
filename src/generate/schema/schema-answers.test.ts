/** Answers by a schema: through the engine, with guesses and in batches, and the value they come to. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'

const schema = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 9 }, age: { type: 'integer', minimum: 3 } },
  required: ['name', 'age'],
} as const

const model = () => mockModel(new MockEngine({ contextLength: 2048 }))

test('an answer is valid and ends by itself, and its value is in the result', async () => {
  const result = await model().generate('a', { schema, seed: 3, maxTokens: 60 }).result
  expect(result.finishReason).toBe('stop')
  expect(result.value).toEqual(JSON.parse(result.text))
  expect(result.value).toEqual({ name: expect.any(String), age: expect.any(Number) })
})

test('the type of the value is that of the schema', async () => {
  const typed = z.object({ city: z.string().max(5), tags: z.array(z.enum(['a', 'b'])).max(2) })
  const { value } = await model().generate('a', { schema: typed, maxTokens: 80 }).result
  expectTypeOf(value).toEqualTypeOf<{ city: string; tags: ('a' | 'b')[] } | undefined>()
  expect(typed.parse(value)).toEqual(value)
  const untyped = model().generate('a', { maxTokens: 1 }).result
  expectTypeOf((await untyped).value).toEqualTypeOf<unknown>()
})

test('what a schema makes of a value is in the result, and what it refuses is not', async () => {
  const doubled = z.object({
    n: z
      .int()
      .min(1)
      .max(9)
      .transform((n) => 2 * n),
  })
  const result = await model().generate('a', { schema: doubled }).result
  expect(result.value).toEqual({ n: 2 * JSON.parse(result.text).n })
  const refused = z.object({ n: z.int() }).refine(() => false)
  expect(await model().generate('a', { schema: refused }).result).not.toHaveProperty('value')
})

test('an answer that is cut has no value', async () => {
  const result = await model().generate('a', { schema, maxTokens: 5 }).result
  expect(result.finishReason).toBe('length')
  expect(result).not.toHaveProperty('value')
  const stopped = await model().generate('a', { schema, stop: ['"age"'] }).result
  expect(stopped).not.toHaveProperty('value')
})

test('guesses change nothing, and neither does company', async () => {
  const options = { schema, seed: 5, maxTokens: 60 }
  const alone = await model().generate('a b a b', options).result
  const guessed = await model().generate('a b a b', { ...options, speculate: true }).result
  const batch = await model().generateBatch(['a b a b', 'other'], options)
  expect([guessed.text, batch[0].text]).toEqual([alone.text, alone.text])
  expect(batch.every(({ value }) => value !== undefined)).toBe(true)
})

describe('what is refused', () => {
  test.each<[string, object, string]>([
    ['no object', { schema: 'x' }, 'Expected schema to be a JSON Schema'],
    ['another name for it', { response_format: {} }, 'Use schema'],
    ['what JSON cannot say', { schema: z.object({ at: z.date() }) }, 'what JSON can say'],
    [
      'a schema that tells nothing',
      { schema: { '~standard': { validate: () => ({}) } } },
      'tells its JSON Schema',
    ],
    ['a word that is not held', { schema: { not: {} } }, '# has "not"'],
  ])('%s', async (_, options, message) => {
    await expect(model().generate('a', options).result).rejects.toThrow(message)
  })

  test('a schema that leads back to itself', async () => {
    const endless: Record<string, unknown> = {}
    endless.items = endless
    await expect(model().generate('a', { schema: endless }).result).rejects.toThrow('leads back')
  })

  test.each([
    [100, 'lies deeper than 64 schemas'],
    [20_000, 'is thousands of schemas deep'],
  ])('one that is %i schemas deep', async (depth, message) => {
    const text = `${'{"items":'.repeat(depth)}{}${'}'.repeat(depth)}`
    const schema: Record<string, unknown> = JSON.parse(text)
    await expect(model().generate('a', { schema }).result).rejects.toThrow(message)
  })
})
