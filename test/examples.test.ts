/**
 * Runs every example as a reader would, `node examples/name.mjs`, and checks what it prints.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import {
  buildProgram,
  hasEmbeddedModel,
  type Outcome,
  ROOT,
  start,
} from './support/built-program.ts'

const FOLDER = join(ROOT, 'examples')

/** What each prints at least; the texts of the model are its own business. */
const EXPECTED: Readonly<Record<string, RegExp[]>> = {
  'generate.mjs': [
    /^Once upon a time, there was a little girl\S* ?/,
    /\d+ tokens, [\d.]+ tokens\/s/,
  ],
  'chat.mjs': [/^> こんにちは/, /\(\d+ prompt tokens, [1-9]\d* of them cached\)/, /4 messages/],
  'stream-with-abort.mjs': [/^\S/, /cancelled after \d+ tokens/],
  'batch.mjs': [/^The sea was\|/, /森の中で\|/, /tokens\/s$/],
  'inspect-weights.mjs': [/16 layers, dim 512/, /scale 0\.\d+ .*[\d.]+ % \/ [\d.]+ % \/ [\d.]+ %/],
  // Worked by hand: mean|W| = 4.35 / 8; the largest of x, 1.5, becomes 127.
  'ternary-quantization.mjs': [
    /codes {2}1 0 1 -1 0 1 -1 0 {3}scale 0\.54375/,
    /int8 {3}127 -42 21 -85 {3}scale 0\.01181/,
    /row 0: integer sum 233, y = 1\.496, unquantised 2\.375/,
    /row 1: integer sum -63, y = -0\.405, unquantised -0\.650/,
    /unpacked equals codes: true/,
  ],
}

/** Needs no weights. */
const WITHOUT_MODEL = 'ternary-quantization.mjs'

beforeAll(buildProgram)

function run(example: string): Promise<Outcome> {
  return start(join(FOLDER, example), [], { input: '' }).outcome
}

test('every example is checked here', () => {
  const examples = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'))
  expect(examples.sort()).toEqual(Object.keys(EXPECTED).sort())
})

for (const [example, patterns] of Object.entries(EXPECTED)) {
  const isSkipped = example !== WITHOUT_MODEL && !hasEmbeddedModel()
  test.skipIf(isSkipped)(`examples/${example} runs and prints what it promises`, async () => {
    const { code, out, err } = await run(example)
    expect(err).toBe('')
    expect(code).toBe(0)
    for (const pattern of patterns) expect(out.trim()).toMatch(pattern)
  })
}
