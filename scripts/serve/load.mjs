/**
 * Many streaming clients at once, on the embedded model: whether each stream is what it is alone, and what speed,
 * patience and memory that costs. Its last line is JSON of all that was measured, also when it is interrupted
 * (Ctrl-C, SIGTERM); it ends by itself some two minutes after MINUTES.
 *
 *   node scripts/serve/load.mjs [MINUTES] [CLIENTS]      unset: 10, 64
 *
 * What HTTP costs is for http-cost.mjs to say.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { givenNumbers } from './random.mjs'
import { crowd, median, QUESTIONS, share, soloAnswers, startServer, streamed } from './started.mjs'

const [minutes, clients] = givenNumbers(['MINUTES', 'CLIENTS'], [10, 64])
const ONE_CLIENT_MS = Math.min(20_000, minutes * 10_000)
const HALF_LOAD_MS = Math.min(60_000, minutes * 12_000)
/** A request that takes longer counts as wrong. */
const REQUEST_MS = 120_000
const SECOND_TURNS = 5
/** Sentences that make some 1,500 tokens. */
const TOLD = 170
/** What has to be reached. */
const MOST = { wrong: 0, memoryGrowth: 0.05, halfLoadP99Seconds: 2 }
const LEAST = { timesOne: 4, secondTurnTimes: 10 }

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => interrupted.abort(new Error(`The measurement got ${signal}.`)))
}
const isOver = () => interrupted.signal.aborted || server.hasEnded()

const summary = { minutes, clients, wrong: 0, answers: 0, isWhole: false }
const server = await startServer()
let expected = []

function wrong(what) {
  if (interrupted.signal.aborted) return
  if (summary.wrong++ < 5) console.error(what)
}

async function ask(i) {
  const at = i % QUESTIONS.length
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(REQUEST_MS)])
  try {
    const said = await streamed(server.url, QUESTIONS[at], signal)
    summary.answers++
    if (said.status !== 200 || said.text !== expected[at]) {
      wrong(
        `status ${said.status}, ${JSON.stringify(said.text)} for ${JSON.stringify(expected[at])}`,
      )
    }
    return said
  } catch (error) {
    wrong(String(error))
    return { tokens: 0 }
  }
}

/** Milliseconds to the first token of a chat's second turn, with its first one in the cache and without. */
async function secondTurn(round) {
  const told = Array.from({ length: TOLD }, (_, i) => `${round}.${i} rain and snow.`).join(' ')
  const begun = { temperature: 0, max_tokens: 8, messages: [{ role: 'user', content: told }] }
  const { text } = await streamed(server.url, begun, interrupted.signal)
  const next = (content) => ({
    ...begun,
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: text },
      { role: 'user', content: 'And?' },
    ],
  })
  const known = await streamed(server.url, next(told), interrupted.signal)
  const unknown = await streamed(server.url, next(`So: ${told}`), interrupted.signal)
  return { known: known.firstMs, unknown: unknown.firstMs, prompt: known.prompt }
}

const seconds = (answers, part) => {
  const firsts = answers.flatMap(({ firstMs }) => firstMs ?? [])
  return firsts.length === 0 ? undefined : share(firsts, part) / 1000
}
const say = (answers) =>
  `time to the first token: median ${seconds(answers, 0.5)?.toFixed(2)} s, p99 ${seconds(answers, 0.99)?.toFixed(2)} s`

async function measure() {
  expected = await soloAnswers(server.url, interrupted.signal)

  const turns = []
  for (let round = 0; round < SECOND_TURNS; round++) turns.push(await secondTurn(round))
  const [known, unknown] = ['known', 'unknown'].map((name) =>
    median(turns.map((turn) => turn[name])),
  )
  summary.secondTurn = { tokens: turns[0].prompt, ms: known, withoutCacheMs: unknown }
  console.log(
    `second turn of a chat of ${turns[0].prompt} tokens: first token after ${known.toFixed(0)} ms, ` +
      `${unknown.toFixed(0)} ms without the cache: ${(unknown / known).toFixed(1)} times (medians of ${turns.length})`,
  )

  const one = await crowd(1, ONE_CLIENT_MS, ask, isOver)
  interrupted.signal.throwIfAborted()
  summary.oneClient = one.speed
  console.log(`1 client: ${one.speed.toFixed(0)} tokens/s`)

  const memory = []
  const watching = setInterval(() => memory.push(server.memory()), 1000)
  const all = await crowd(clients, minutes * 60_000, ask, isOver)
  clearInterval(watching)
  const timesOne = all.speed / one.speed
  summary.allClients = {
    seconds: all.seconds,
    answers: all.answers.length,
    tokensPerSecond: all.speed,
    timesOne,
    firstTokenP50Seconds: seconds(all.answers, 0.5),
    firstTokenP99Seconds: seconds(all.answers, 0.99),
  }
  console.log(
    `${clients} clients, ${(all.seconds / 60).toFixed(1)} minutes: ${all.answers.length} answers, ` +
      `${all.speed.toFixed(0)} tokens/s, ${timesOne.toFixed(2)} times one client's; ${summary.wrong} wrong`,
  )
  console.log(`  ${say(all.answers)}`)
  // The first part fills caches; memory is flat when the last part is no larger than the one before it.
  const quarter = memory.length >> 2
  if (quarter > 0 && memory[0] !== undefined) {
    const [before, after] = [memory.slice(quarter, 2 * quarter), memory.slice(-quarter)].map(median)
    summary.memory = { secondQuarterBytes: before, lastBytes: after, growth: after / before - 1 }
    console.log(
      `  memory: ${(before / 2 ** 20).toFixed(0)} MiB in the second quarter, ${(after / 2 ** 20).toFixed(0)} MiB ` +
        `in the last: ${(100 * summary.memory.growth).toFixed(1)} %`,
    )
  }

  interrupted.signal.throwIfAborted()
  // Whoever comes does not wait for others to be answered: so many a second, whatever becomes of them.
  const capacity = all.answers.length / all.seconds
  const visits = []
  const until = performance.now() + HALF_LOAD_MS
  for (let i = 0; performance.now() < until && !isOver(); i++) {
    visits.push(ask(i))
    await sleep((-Math.log(1 - Math.random()) * 2000) / capacity)
  }
  const half = await Promise.all(visits)
  summary.halfLoad = {
    visitors: half.length,
    answersPerSecond: capacity / 2,
    firstTokenP50Seconds: seconds(half, 0.5),
    firstTokenP99Seconds: seconds(half, 0.99),
  }
  console.log(`${half.length} visitors at half of ${capacity.toFixed(1)} answers/s: ${say(half)}`)
}

try {
  await measure()
  summary.isWhole = !isOver()
} catch (error) {
  summary.reason = String(interrupted.signal.reason ?? error)
}
if (server.hasEnded()) summary.reason ??= 'The server has ended.'
await server.stop()
const { secondTurn: second, memory, halfLoad, allClients } = summary
summary.isReached = {
  wrong: summary.wrong <= MOST.wrong,
  timesOne: allClients && allClients.timesOne >= LEAST.timesOne,
  memory: memory && memory.growth <= MOST.memoryGrowth,
  halfLoad: halfLoad && halfLoad.firstTokenP99Seconds <= MOST.halfLoadP99Seconds,
  secondTurn: second && second.withoutCacheMs / second.ms >= LEAST.secondTurnTimes,
}
console.log(JSON.stringify(summary))
const { wrong: areRight, memory: isFlat } = summary.isReached
if (!summary.isWhole || !areRight || isFlat === false) process.exitCode = 1
