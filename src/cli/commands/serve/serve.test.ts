/** `serve` with a model that echoes: where it listens, whom it refuses to listen for, how it ends. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { freePort } from '../../../../test/support/services.ts'
import { command, type ServeFlags } from './serve.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function begin(flags: ServeFlags) {
  const mock = mockSurroundings()
  const ended = command.run({ port: 0, json: true, ...flags }, mock)
  await expect.poll(() => mock.out()).toContain('url')
  const { url, models } = JSON.parse(mock.out())
  return { mock, ended, url, models }
}

test('listens, answers, and ends at Ctrl-C', async () => {
  const { mock, ended, url, models } = await begin({ log: 'info' })
  expect(models).toEqual(['embedded'])
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'one two' }] })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
  expect((await response.json()).choices[0].message.content).toContain('one')
  expect(await (await fetch(url)).text()).toContain('<title>bitnet-ts</title>')
  mock.interrupt()
  expect(await ended).toBe(0)
  expect(mock.calls.disposed).toBe(1)
  const [line] = mock.err().split('\n')
  expect(JSON.parse(line)).toMatchObject({
    msg: 'request',
    route: '/v1/chat/completions',
    status: 200,
  })
  await expect(fetch(url)).rejects.toThrow()
})

test('what was said is in the log where that is asked for, and nowhere else', async () => {
  const logOf = async (log: 'info' | 'prompts') => {
    const { mock, ended, url } = await begin({ log })
    const body = JSON.stringify({ messages: [{ role: 'user', content: 'a secret' }] })
    await (await fetch(`${url}/v1/chat/completions`, { method: 'POST', body })).text()
    mock.interrupt()
    await ended
    return mock
      .err()
      .split('\n')
      .filter((line) => line.startsWith('{'))
  }
  expect((await logOf('info')).join('')).not.toContain('secret')
  const [answer] = (await logOf('prompts')).map((line) => JSON.parse(line))
  expect(answer).toMatchObject({
    msg: 'answer',
    prompt: [{ role: 'user', content: 'a secret' }],
    text: expect.stringContaining('secret'),
    requestId: expect.stringMatching(/^req-/),
  })
})

test('keys come from the environment', async () => {
  const env = { BITNET_API_KEYS: 'one-key-of-many-a,another-key-of-b' }
  const mock = mockSurroundings({ env })
  const ended = command.run({ port: 0, json: true, host: '0.0.0.0' }, mock)
  await expect.poll(() => mock.out()).toContain('url')
  const { port } = new URL(JSON.parse(mock.out()).url)
  const statusOf = async (key: string) => {
    const headers = { authorization: `Bearer ${key}` }
    return (await fetch(`http://127.0.0.1:${port}/v1/models`, { headers })).status
  }
  expect(await statusOf('another-key-of-b')).toBe(200)
  expect(await statusOf('another-key-of-c')).toBe(401)
  mock.interrupt()
  await ended
})

test('figures are without a key at a port of their own, and nothing else is', async () => {
  const metricsPort = await freePort()
  const mock = mockSurroundings({ env: { BITNET_API_KEYS: 'one-key-of-many-a' } })
  const ended = command.run({ port: 0, json: true, metricsPort }, mock)
  await expect.poll(() => mock.out()).toContain('url')
  const { url } = JSON.parse(mock.out())
  const own = `http://127.0.0.1:${metricsPort}`
  expect((await fetch(`${url}/metrics`)).status).toBe(401)
  expect(await (await fetch(`${own}/metrics`)).text()).toContain('bitnet_waiting_requests 0')
  expect((await fetch(`${own}/v1/models`)).status).toBe(404)
  mock.interrupt()
  expect(await ended).toBe(0)
  await expect(fetch(`${own}/metrics`)).rejects.toThrow()
})

test('others reach it only with keys, or when that is meant', async () => {
  const refused = command.run({ host: '0.0.0.0', port: 0 }, mockSurroundings())
  await expect(refused).rejects.toThrow('Expected keys for 0.0.0.0')
  const { mock, ended } = await begin({ host: '0.0.0.0', public: true })
  mock.interrupt()
  expect(await ended).toBe(0)
})

test('keys come from a file, with their names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-serve-'))
  folders.push(folder)
  const keys = join(folder, 'keys.txt')
  await writeFile(
    keys,
    '# who may\nsomebody 0123456789abcdef # a comment\n\nlate fedcba9876543210 priority=-1\n',
  )
  const { mock, ended, url } = await begin({ keys })
  const statusOf = async (key: string) =>
    (await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status
  expect(await statusOf('0123456789abcdef')).toBe(200)
  expect(await statusOf('fedcba9876543210')).toBe(200)
  expect(await statusOf('somebody')).toBe(401)
  mock.interrupt()
  await ended
  await writeFile(keys, 'name 0123456789abcdef priority=high\n')
  await expect(command.run({ keys, port: 0 }, mockSurroundings())).rejects.toThrow(
    'priority=NUMBER',
  )
  await writeFile(keys, 'short\n')
  const refused = command.run({ keys, port: 0 }, mockSurroundings())
  await expect(refused).rejects.toThrow('Expected a key of at least 16 characters')
})

test('a port that is taken is named, and models of one name are refused', async () => {
  const { mock, ended, url } = await begin({})
  const port = Number(new URL(url).port)
  const taken = command.run({ port }, mockSurroundings())
  await expect(taken).rejects.toThrow(`Expected to listen on 127.0.0.1 port ${port}`)
  mock.interrupt()
  await ended
  const twice = command.run({ model: ['a/x.gguf', 'b/x.gguf'], port: 0 }, mockSurroundings())
  await expect(twice).rejects.toThrow('Expected models of different names, got "x" twice.')
})

test('keeps batches in a file for its port that nobody else can read, unless told otherwise', async () => {
  const state = await mkdtemp(join(tmpdir(), 'bitnet-serve-'))
  folders.push(state)
  vi.stubEnv('BITNET_STATE', join(state, 'own'))
  const port = await freePort()
  const statusWith = async (flags: ServeFlags) => {
    const { mock, ended, url } = await begin({ port, ...flags })
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob(['{}\n']), 'in.jsonl')
    const { status } = await fetch(`${url}/v1/files`, { method: 'POST', body: form })
    const { data } = await (await fetch(`${url}/v1/files`)).json()
    mock.interrupt()
    expect(await ended).toBe(0)
    return { status, files: data?.length, said: mock.err() }
  }
  try {
    expect(await statusWith({ queue: 'none' })).toMatchObject({ status: 404, files: undefined })
    expect(await statusWith({})).toMatchObject({ status: 200, files: 1 })
    // Behind a restart they are there still.
    expect(await statusWith({})).toMatchObject({ status: 200, files: 2 })
    const path = join(state, 'own', `batches-${port}.sqlite`)
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writeFile(path, 'something else')
    const { status, said } = await statusWith({})
    expect(status).toBe(404)
    expect(said).toContain('There will be no batches (--queue none says so)')
  } finally {
    vi.unstubAllEnvs()
  }
})
