/**
 * What HTTP costs of the engine's tokens: 64 streams of a server in this process, whose clients are another process,
 * and as many answers of the engine alone, in turns. Processor time a token, of this process: what clients take, and
 * whoever else works on the machine, is not in it.
 *
 *   node scripts/serve/http-cost.mjs [ROUNDS] [CLIENTS]      unset: 5, 64
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadModel } from '../../dist/index.js'
import { listen } from '../../dist/node/server/listen.js'
import { createBitnetServer } from '../../dist/server/index.js'
import { givenNumbers } from './random.mjs'
import { crowd, median, QUESTIONS, streamed } from './started.mjs'

const ROUND_MS = 8000
const [url, clientsOfUrl] = process.env.SERVE_CLIENTS?.split(' ') ?? []

if (url !== undefined) {
  process.on('message', async (ms) => {
    const { tokens } = await crowd(Number(clientsOfUrl), ms, (i) =>
      streamed(url, QUESTIONS[i % QUESTIONS.length]),
    )
    process.send(tokens)
  })
} else await measure()

async function measure() {
  const [rounds, clients] = givenNumbers(['ROUNDS', 'CLIENTS'], [5, 64])
  const model = await loadModel()
  const app = createBitnetServer({ models: [{ id: 'embedded', load: async () => model }] })
  const { url: at, stop } = await listen(app, { host: '127.0.0.1', port: 0 })
  const env = { ...process.env, SERVE_CLIENTS: `${at} ${clients}` }
  const others = fork(fileURLToPath(import.meta.url), { env })
  const overHttp = (ms) =>
    new Promise((resolve) => {
      others.once('message', resolve)
      others.send(ms)
    })
  const alone = async (ms) => {
    const { tokens } = await crowd(clients, ms, async (i) => {
      const { messages, max_tokens: maxTokens } = QUESTIONS[i % QUESTIONS.length]
      const { usage } = await model.generate(messages, { temperature: 0, maxTokens }).result
      return { tokens: usage.completionTokens }
    })
    return tokens
  }
  const figures = { engine: [], http: [] }
  await alone(ROUND_MS)
  await overHttp(ROUND_MS)
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries({ engine: alone, http: overHttp })) {
      const [before, beforeMain] = [process.cpuUsage(), mainThreadMs()]
      const tokens = await work(ROUND_MS)
      const { user, system } = process.cpuUsage(before)
      figures[name].push({
        all: (user + system) / tokens,
        main: (1000 * (mainThreadMs() - beforeMain)) / tokens,
      })
    }
  }
  const of = (name, what) => median(figures[name].map((one) => one[what]))
  for (const name of ['engine', 'http']) {
    const [all, main] = [of(name, 'all'), of(name, 'main')]
    console.log(`${name}: ${all.toFixed(0)} us a token, ${main.toFixed(0)} of them JavaScript's`)
  }
  const shares = figures.http.map(
    ({ main }, i) => (100 * (main - figures.engine[i].main)) / figures.engine[i].all,
  )
  console.log(
    `HTTP's JavaScript costs ${median(shares).toFixed(1)} % of the engine's time ` +
      `(${shares.map((share) => share.toFixed(1)).join(', ')})`,
  )
  others.disconnect()
  await stop(1000)
  await model.dispose()
}

/** Processor time of the thread that this runs on; NaN where the system does not say. */
function mainThreadMs() {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6
  } catch {
    return Number.NaN
  }
}
