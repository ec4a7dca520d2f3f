/**
 * Random HTTP for some minutes: whatever comes, no answer is a failure of the server's own (5xx but 503), and it is
 * still there at the end.
 *
 *   node scripts/serve/fuzz.mjs [MINUTES] [SEED]      unset: 10, by the clock
 */
import { rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { givenNumbers, randomFrom } from './random.mjs'
import { startServer } from './started.mjs'

const [minutes, seed] = givenNumbers(['MINUTES', 'SEED'], [10, Date.now() % 1e9])
const AT_A_TIME = 8
const PATIENCE_MS = 20_000
const random = randomFrom(seed)
console.log(`seed ${seed}`)

const queue = join(tmpdir(), `bitnet-fuzz-${process.pid}.sqlite`)
const server = await startServer(['--queue', queue, '--max-tokens', '8', '--log', 'error'])
const { paths } = await (await fetch(`${server.url}/openapi.json`)).json()
const routes = [
  ...Object.keys(paths),
  '/',
  '/healthz',
  '/metrics',
  '/v1/files/x/content',
  '/v1/batches/x',
]

const text = () =>
  random.pick([
    '',
    'a',
    'Hello',
    '東京',
    '\u0000',
    '\ud800',
    '💡'.repeat(20),
    'x'.repeat(3000),
    '../../etc/passwd',
    '%00',
    '{"a":1}',
  ])
const scalar = () =>
  random.pick([null, true, false, 0, -1, 1, 0.5, 1e308, -1e308, 2 ** 31, 2 ** 53, text(), text()])
const value = (depth = 0) => {
  const kind = random.below(depth > 4 ? 1 : 4)
  if (kind < 2) return scalar()
  const count = random.below(4)
  if (kind === 2) return Array.from({ length: count }, () => value(depth + 1))
  return Object.fromEntries(
    Array.from({ length: count }, () => [random.pick([...FIELDS, text()]), value(depth + 1)]),
  )
}
const FIELDS = [
  ...[
    'model',
    'messages',
    'prompt',
    'input',
    'role',
    'content',
    'stream',
    'stream_options',
    'n',
    'stop',
  ],
  ...[
    'seed',
    'logprobs',
    'top_logprobs',
    'logit_bias',
    'max_tokens',
    'temperature',
    'top_p',
    'top_k',
  ],
  ...[
    'response_format',
    'type',
    'json_schema',
    'schema',
    'properties',
    'items',
    'enum',
    'pattern',
    'anyOf',
    '$ref',
  ],
  ...[
    'tools',
    'tool_choice',
    'function',
    'parameters',
    'name',
    'format',
    'options',
    'num_predict',
    'priority',
  ],
  ...[
    'input_file_id',
    'endpoint',
    'completion_window',
    'metadata',
    'encoding_format',
    'dimensions',
    'suffix',
  ],
]
const RIGHT = [
  { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4 },
  { prompt: 'Hi', max_tokens: 4 },
  { input: 'Hi', max_output_tokens: 4 },
  { messages: [{ role: 'user', content: 'Hi' }], response_format: { type: 'json_object' } },
  {
    messages: [{ role: 'user', content: 'Hi' }],
    tools: [{ type: 'function', function: { name: 'f' } }],
  },
  { input_file_id: 'file-1', endpoint: '/v1/chat/completions', completion_window: '24h' },
]

/** A right body of which something is otherwise, or none that is right. */
function body() {
  if (random.below(4) === 0) return JSON.stringify(value())
  const right = { ...random.pick(RIGHT) }
  for (let i = random.below(3); i >= 0; i--) {
    const name = random.pick(random.below(2) === 0 ? Object.keys(right) : FIELDS)
    right[name] = value()
  }
  let said = JSON.stringify(right)
  if (random.below(5) === 0) {
    const at = random.below(said.length)
    said =
      said.slice(0, at) +
      random.pick(['', '"', '{', '\\', '\u0000', ',']) +
      said.slice(at + random.below(5))
  }
  return said
}

const header = () =>
  random.pick([
    {},
    {
      'content-type': random.pick([
        'application/json',
        'text/plain',
        'multipart/form-data',
        'multipart/form-data; boundary=x',
        'x/y',
      ]),
    },
    { authorization: random.pick(['Bearer x', 'Basic eDp5', 'Bearer', '']) },
    { origin: random.pick(['http://localhost', 'null', 'https://a.example']) },
    { host: random.pick(['localhost', 'a.example', '127.0.0.1:1', '']) },
    { traceparent: random.pick(['00-0-0-0', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`]) },
    { expect: '100-continue' },
  ])

function send() {
  const method = random.pick([
    'POST',
    'POST',
    'POST',
    'GET',
    'DELETE',
    'PUT',
    'OPTIONS',
    'HEAD',
    'PATCH',
  ])
  const route = random
    .pick(routes)
    .replace(/\{[^}]*\}/g, () => encodeURIComponent(String(scalar()).slice(0, 50).toWellFormed()))
  const path =
    route +
    random.pick(['', '', '', '?limit=-1', '?limit=x&after=y', '/', '//', '/..', '%00', '?a[]=1'])
  const sent = method === 'GET' || method === 'HEAD' ? '' : body()
  return new Promise((resolve) => {
    const asked = request(
      server.url + path,
      { method, headers: { host: 'localhost', 'content-type': 'application/json', ...header() } },
      (response) => {
        let length = 0
        response.on('data', (data) => {
          length += data.length
        })
        response.on('close', () =>
          resolve({ status: response.statusCode, method, path, sent, length }),
        )
      },
    )
    asked.setTimeout(PATIENCE_MS, () => asked.destroy(new Error('no answer in time')))
    asked.on('error', (error) => resolve({ status: error.message, method, path, sent }))
    asked.end(sent)
  })
}

const counts = new Map()
const failures = []
const until = performance.now() + minutes * 60_000
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    while (performance.now() < until && !server.hasEnded()) {
      const answer = await send()
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
      const isOurs =
        typeof answer.status !== 'number' || (answer.status >= 500 && answer.status !== 503)
      if (isOurs) failures.push(answer)
    }
  }),
)
const total = [...counts.values()].reduce((all, count) => all + count, 0)
console.log(
  `${total} requests in ${minutes} minutes: ${[...counts].map(([status, count]) => `${count} of ${status}`).join(', ')}`,
)
for (const failure of failures.slice(0, 10)) console.error(JSON.stringify(failure).slice(0, 600))
const isAlive = !server.hasEnded() && (await fetch(`${server.url}/healthz`)).ok
console.log(`${failures.length} failures; the server ${isAlive ? 'answers' : 'is gone'}`)
if (failures.length > 0 || !isAlive) process.exitCode = 1
await server.stop()
for (const end of ['', '-wal', '-shm']) await rm(queue + end, { force: true })
