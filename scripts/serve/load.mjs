/**
 * Many streaming clients at once, on the embedded model: whether each stream is what it is alone, and what speed,
 * patience and memory that costs.
 *
 *   node scripts/serve/load.mjs [MINUTES] [CLIENTS]      unset: 10, 64
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { loadModel } from '../../dist/index.js'
import { givenNumbers } from './random.mjs'
import { median, QUESTIONS, share, soloAnswers, startServer, streamed, sum } from './started.mjs'

const [minutes, clients] = givenNumbers(['MINUTES', 'CLIENTS'], [10, 64])
/** In each round the engine alone and the engine behind HTTP have so long. */
const ROUND_MS = Math.min(20_000, minutes * 10_000)
const ROUNDS = 3
const LARGEST_GROWTH = 0.05
/** Sentences that make some 1,500 tokens. */
const TOLD = 170

const server = await startServer()
const expected = await soloAnswers(server.url)
const wrong = []

async function ask(i) {
  const at = i % QUESTIONS.length
  try {
    const said = await streamed(server.url, QUESTIONS[at])
    if (said.status !== 200 || said.text !== expected[at]) {
      wrong.push(
        `status ${said.status}, ${JSON.stringify(said.text)} for ${JSON.stringify(expected[at])}`,
      )
    }
    return said
  } catch (error) {
    wrong.push(String(error))
    return { tokens: 0 }
  }
}

/** `count` clients, each asking again as soon as it is answered. @returns tokens a second, and answers */
async function crowd(count, ms, work = ask) {
  const began = performance.now()
  const answers = []
  await Promise.all(
    Array.from({ length: count }, async (_, client) => {
      for (let i = client; performance.now() - began < ms; i += 7) answers.push(await work(i))
    }),
  )
  const seconds = (performance.now() - began) / 1000
  return { speed: sum(answers.map(({ tokens }) => tokens)) / seconds, answers, seconds }
}

/** Milliseconds to the first token of a chat's second turn, with its first one in the cache and without. */
async function secondTurn(round) {
  const told = Array.from({ length: TOLD }, (_, i) => `${round}.${i} rain and snow.`).join(' ')
  const begun = { temperature: 0, max_tokens: 8, messages: [{ role: 'user', content: told }] }
  const { text } = await streamed(server.url, begun)
  const next = (content) => ({
    ...begun,
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: text },
      { role: 'user', content: 'And?' },
    ],
  })
  const known = await streamed(server.url, next(told))
  const unknown = await streamed(server.url, next(`So: ${told}`))
  return { known: known.firstMs, unknown: unknown.firstMs, prompt: known.prompt }
}
const turns = []
for (let round = 0; round < 5; round++) turns.push(await secondTurn(round))
const [known, unknown] = ['known', 'unknown'].map((name) => median(turns.map((turn) => turn[name])))
console.log(
  `second turn of a chat of ${turns[0].prompt} tokens: first token after ${known.toFixed(0)} ms, ` +
    `${unknown.toFixed(0)} ms without the cache: ${(unknown / known).toFixed(1)} times (medians of ${turns.length})`,
)

const one = await crowd(1, ROUND_MS)
console.log(`1 client: ${one.speed.toFixed(0)} tokens/s`)

const memory = []
const watching = setInterval(() => memory.push(server.memory()), 1000)
const all = await crowd(clients, minutes * 60_000)
clearInterval(watching)
const capacity = all.answers.length / all.seconds
console.log(
  `${clients} clients, ${(all.seconds / 60).toFixed(1)} minutes: ${all.answers.length} answers, ` +
    `${all.speed.toFixed(0)} tokens/s, ${(all.speed / one.speed).toFixed(2)} times one client's`,
)
const first = (answers) => answers.flatMap(({ firstMs }) => firstMs ?? [])
const say = (answers) =>
  `time to the first token: median ${(median(first(answers)) / 1000).toFixed(2)} s, p99 ${(share(first(answers), 0.99) / 1000).toFixed(2)} s`
console.log(`  ${say(all.answers)}`)
// The first part fills caches; memory is flat when the last part is no larger than the one before it.
const quarter = memory.length >> 2
const [before, after] = [memory.slice(quarter, 2 * quarter), memory.slice(-quarter)].map(median)
const growth = after / before - 1
console.log(
  `  memory: ${(before / 2 ** 20).toFixed(0)} MiB in the second quarter, ${(after / 2 ** 20).toFixed(0)} MiB in the last: ${(100 * growth).toFixed(1)} %`,
)

// Whoever comes does not wait for others to be answered: so many a second, whatever becomes of them.
const visits = []
const until = performance.now() + minutes * 12_000
for (let i = 0; performance.now() < until; i++) {
  visits.push(ask(i))
  await sleep((-Math.log(1 - Math.random()) * 2000) / capacity)
}
const half = await Promise.all(visits)
console.log(`${half.length} visitors at half of ${capacity.toFixed(1)} answers/s: ${say(half)}`)

const model = await loadModel()
const alone = async (i) => {
  const { messages, max_tokens: maxTokens } = QUESTIONS[i % QUESTIONS.length]
  const { usage } = await model.generate(messages, { temperature: 0, maxTokens }).result
  return { tokens: usage.completionTokens }
}
await crowd(clients, ROUND_MS / 4, alone)
const ratios = []
for (let round = 0; round < ROUNDS; round++) {
  const engine = await crowd(clients, ROUND_MS, alone)
  const http = await crowd(clients, ROUND_MS)
  ratios.push(http.speed / engine.speed)
  console.log(
    `engine ${engine.speed.toFixed(0)} tokens/s, over HTTP ${http.speed.toFixed(0)}: ${ratios.at(-1).toFixed(3)}`,
  )
}
console.log(`HTTP costs ${(100 * (1 - median(ratios))).toFixed(1)} % (median of ${ROUNDS})`)
await model.dispose()
await server.stop()

console.log(`${wrong.length} wrong answers`)
for (const one of wrong.slice(0, 5)) console.error(one)
if (wrong.length > 0 || growth > LARGEST_GROWTH) process.exitCode = 1
