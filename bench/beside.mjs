/**
 * One call beside the same call of another build of this package, in one process and in turn: the difference that
 * a change makes, whatever else the machine does.
 *
 *   node bench/beside.mjs OTHER [MODEL] [--threads 1] [--rounds 10] [--tokens 128] [--prompt 512] [--wall]
 *
 * OTHER is another checkout with its dist/. What counts is the time of processors, or with --wall of the clock.
 */
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '10' },
    tokens: { type: 'string', default: '128' },
    prompt: { type: 'string', default: '512' },
    options: { type: 'string', default: '{}' },
    wall: { type: 'boolean', default: false },
  },
})
const [threads, rounds, tokens, prompt] = [
  values.threads,
  values.rounds,
  values.tokens,
  values.prompt,
].map(Number)
const own = fileURLToPath(new URL('..', import.meta.url))
const source = positionals[1] ?? `${own}/models/bitnet-ja-en-58m.gguf`

async function load(folder) {
  const { loadModel } = await import(pathToFileURL(resolve(folder, 'dist/index.js')).href)
  return loadModel(source, { threads, ...JSON.parse(values.options) })
}

/** Milliseconds of the processors, or of the clock. */
function now() {
  if (values.wall) return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Words that nobody has put in this order before: no beginning is known. */
function textOf(name, words) {
  let state = name + 1
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return ['cat', 'dog', 'bird', 'fox', 'king', 'girl', 'fish', 'tree'][state >>> 29]
  }
  return `${name} ${Array.from({ length: words }, next).join(' ')}`
}

/** Milliseconds a token: of an answer behind a short prompt, and of a long prompt. */
async function measure(model, name) {
  // No answer ends before its length.
  const logitBias = Object.fromEntries(model.tokenizer.stopIds.map((id) => [id, -100]))
  const greedy = { temperature: 0, repetitionPenalty: 1, logitBias }
  const first = textOf(name, 8)
  let start = now()
  const { usage } = await model.generate(first, { ...greedy, maxTokens: tokens }).result
  const answer = (now() - start) / usage.completionTokens
  const long = textOf(name + 5000, prompt)
  start = now()
  const { usage: used } = await model.generate(long, { ...greedy, maxTokens: 1 }).result
  return { answer, prompt: (now() - start) / (used.promptTokens - used.cachedTokens) }
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
const models = [await load(own), await load(positionals[0])]
console.log(models.map(({ backend }) => backend.description).join(' beside '))
const times = [[], []]
for (let round = -2; round < rounds; round++) {
  const order = round % 2 === 0 ? [0, 1] : [1, 0]
  for (const which of order) {
    const time = await measure(models[which], 10 + round)
    if (round >= 0) times[which].push(time)
  }
}
for (const what of ['answer', 'prompt']) {
  const [mine, other] = times.map((list) => list.map((time) => time[what]))
  const ratios = mine.map((ms, i) => ms / other[i])
  const f = (ms) => (1000 * ms).toFixed(0)
  console.log(
    `${what}: ${f(median(mine))} us a token beside ${f(median(other))}; ` +
      `median of ratios ${median(ratios).toFixed(3)}, ` +
      `of the least ${(Math.min(...mine) / Math.min(...other)).toFixed(3)}`,
  )
}
for (const model of models) await model.dispose()
