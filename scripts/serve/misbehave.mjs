/**
 * Clients that misbehave at random beside some that do not: these must lose nothing, and the server must be what it
 * was.
 *
 *   node scripts/serve/misbehave.mjs [CLIENTS] [SEED]      unset: 1000, by the clock
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { givenNumbers, randomFrom } from './random.mjs'
import { QUESTIONS, soloAnswers, startServer, streamed } from './started.mjs'

const [clients, seed] = givenNumbers(['CLIENTS', 'SEED'], [1000, Date.now() % 1e9])
const AT_A_TIME = 32
const WELL_BEHAVED = 4
const HUGE = 100 << 20
const random = randomFrom(seed)
console.log(`seed ${seed}`)

const server = await startServer(['--log', 'error'])
const { hostname, port } = new URL(server.url)
const expected = await soloAnswers(server.url)
const before = server.memory()

const bodyOf = (more) => JSON.stringify({ ...random.pick(QUESTIONS), ...more })
const requestOf = (body, length = Buffer.byteLength(body)) =>
  `POST ${random.pick(['/v1/chat/completions', '/v1/completions', '/api/chat'])} HTTP/1.1\r\nhost: localhost\r\n` +
  `content-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`

/** A connection that says something, reads as it likes, and ends. */
function visit(text, { readMs = 0, lastsMs = 2000 } = {}) {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(text))
    const end = setTimeout(() => socket.destroy(), lastsMs)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(end)
      resolve()
    })
    socket.on('data', () => {
      if (readMs === 0) return
      socket.pause()
      setTimeout(() => socket.resume(), readMs)
    })
  })
}

const absurd = () => ({
  [random.pick([
    'max_tokens',
    'n',
    'temperature',
    'top_p',
    'seed',
    'stop',
    'messages',
    'logit_bias',
  ])]: random.pick([
    -1,
    0,
    1e308,
    2 ** 53,
    null,
    [],
    {},
    '',
    'x'.repeat(1e5),
    [[[[]]]],
    true,
    { a: { b: {} } },
  ]),
})

/** What clients do wrong, by its name. */
const WRONGS = {
  'goes away while it is answered': () =>
    visit(requestOf(bodyOf({ stream: random.below(2) === 0 })), { lastsMs: random.below(1500) }),
  'sends half of a request': () => {
    const text = requestOf(bodyOf({}))
    return visit(text.slice(0, random.below(text.length)), { lastsMs: random.below(3000) })
  },
  'says it is longer than it is': () => visit(requestOf(bodyOf({}), 1e6), { lastsMs: 1000 }),
  'sends 100 MB': async () => {
    await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([new Uint8Array(HUGE)]),
    }).then(
      (response) => response.text(),
      () => undefined,
    )
  },
  'reads slowly': () =>
    visit(requestOf(bodyOf({ stream: true, max_tokens: 200 })), { readMs: 400, lastsMs: 4000 }),
  'sends no JSON': () =>
    visit(requestOf(random.pick(['{', '[1', '"', 'null', '{"a":', '\0\0', '{]'.repeat(1000)]))),
  'sends no UTF-8': () =>
    visit(Buffer.from(requestOf('{"messages":"\xff\xfe\xc0\xaf\xed\xa0\x80"}', 26), 'latin1')),
  'asks for what is absurd': () => visit(requestOf(bodyOf(absurd()))),
  'nests deeply': () => visit(requestOf('['.repeat(random.below(1e5)))),
  'sends no HTTP': () =>
    visit(random.pick(['\r\n\r\n', 'GET\r\n\r\n', '\x16\x03\x01\x02', 'PRI * HTTP/2.0\r\n\r\n'])),
}

let isOver = false
const lost = []
let answered = 0
const good = Array.from({ length: WELL_BEHAVED }, async (_, client) => {
  for (let i = client; !isOver; i += 3) {
    const at = i % QUESTIONS.length
    try {
      const { status, text } = await streamed(server.url, QUESTIONS[at])
      if (status !== 200 || text !== expected[at]) lost.push(`status ${status}: ${text}`)
      answered++
    } catch (error) {
      lost.push(String(error))
    }
  }
})

const names = Object.keys(WRONGS)
let next = 0
const counts = new Map()
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    while (next < clients) {
      next++
      const name = random.pick(names)
      counts.set(name, (counts.get(name) ?? 0) + 1)
      await WRONGS[name]()
    }
  }),
)
isOver = true
await Promise.all(good)
for (const [name, count] of counts) console.log(`${String(count).padStart(5)} ${name}`)

// All that was begun for them has ended.
const until = performance.now() + 30_000
let active = 0
do {
  await sleep(200)
  active = await server.figure('bitnet_active_requests')
} while (active > 0 && performance.now() < until)
const after = server.memory()
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
console.log(
  `${clients} clients misbehaved; ${answered} answers beside them, ${lost.length} of them wrong; ` +
    `${active} requests left; memory ${mib(before)} before, ${mib(after)} after`,
)
for (const one of lost.slice(0, 5)) console.error(one)
if (lost.length > 0 || active > 0 || server.hasEnded()) process.exitCode = 1
await server.stop()
