/** Answers of the embedded model by twenty schemas: each parses, is valid, and ends within its tokens. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect, test } from 'vitest'
import type { JsonSchema } from '../src/generate/schema/answer-schema.ts'
import { loadModel } from '../src/index.ts'
import { hasEmbeddedModel } from './support/built-program.ts'
import { SCHEMAS } from './support/schemas.ts'

/** Answers by each schema; more of them by `npm run structured`. */
const EACH = Number(process.env['STRUCTURED_EACH'] ?? 2)
const MAX_TOKENS = EACH > 2 ? 160 : 90
const PROMPTS = ['Tell me about a city as JSON.', '人について、JSONで答えてください。']

test.skipIf(!hasEmbeddedModel)(
  'answers by schemas are valid, whatever is drawn',
  async () => {
    const ajv = new Ajv2020({ strict: false })
    addFormats.default(ajv)
    await using model = await loadModel()
    const check = async (name: string, schema: JsonSchema, seed: number): Promise<void> => {
      const asked = [{ role: 'user' as const, content: PROMPTS[seed % PROMPTS.length] }]
      const options = { schema, maxTokens: MAX_TOKENS, seed, temperature: 1 }
      const { text, value } = await model.generate(asked, options).result
      expect(value, `${name}: ${text}`).toEqual(JSON.parse(text))
      const isValid = ajv.validate(schema, value)
      expect(isValid, `${name}: ${text} ${ajv.errorsText()}`).toBe(true)
    }
    for (let seed = 0; seed < EACH; seed++) {
      // All schemas at once, in shared passes.
      await Promise.all(Object.entries(SCHEMAS).map(([name, schema]) => check(name, schema, seed)))
    }
  },
  3_600_000,
)
