/**
 * Many answers of the embedded model by twenty schemas, each of which has to be valid, and what schemas cost:
 *
 *   node scripts/structured.mjs [ANSWERS]      unset: 1000
 *
 * The cost is that of decoding the same number of tokens with a schema and without, in turns; the share is of rounds. It needs a build.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { loadModel } from '../dist/index.js'

const [answers = '1000'] = process.argv.slice(2)
const SCHEMAS = 20
const ROUNDS = 24
const TOKENS = 120

const { status } = spawnSync('npx', ['vitest', 'run', 'test/structured-answers.test.ts'], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  env: { ...process.env, STRUCTURED_EACH: String(Math.ceil(Number(answers) / SCHEMAS)) },
  shell: process.platform === 'win32',
  stdio: 'inherit',
})
process.exitCode = status ?? 1

const text = { type: 'string', maxLength: 40 }
const entry = {
  type: 'object',
  properties: { name: text, kind: { enum: ['a', 'b', 'c'] }, count: { type: 'integer' }, at: text },
  required: ['name', 'kind', 'count', 'at'],
}
const schema = { type: 'array', items: entry, minItems: 3 }
const model = await loadModel()
const times = { plain: [], held: [] }
// Neither ends before its tokens are used up: plain text by a bias, the list because it goes on.
const logitBias = Object.fromEntries(model.tokenizer.stopIds.map((id) => [id, -Infinity]))
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, options] of Object.entries({ plain: { logitBias }, held: { schema } })) {
    const prompt = [{ role: 'user', content: `List ${round} things as JSON.` }]
    const { timings, usage } = await model.generate(prompt, {
      ...options,
      maxTokens: TOKENS,
      seed: round,
      temperature: 1,
    }).result
    // The first round warms up.
    if (round > 0) times[name].push(timings.decodeMs / (usage.completionTokens - 1))
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const [plain, held] = [median(times.plain), median(times.held)]
const ratios = times.held.map((ms, round) => ms / times.plain[round])
const share = ((median(ratios) - 1) * 100).toFixed(1)
console.log(
  `a token takes ${plain.toFixed(2)} ms alone and ${held.toFixed(2)} ms with a schema: ${share} % more (medians of ${ROUNDS} rounds)`,
)
await model.dispose()
