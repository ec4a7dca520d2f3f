/**
 * `bitnet inspect` with models that are not on this machine: what it shows, and how little it reads.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { command, type InspectFlags } from '../src/cli/commands/inspect/inspect.ts'
import { hasEmbeddedModel, ROOT } from './support/built-program.ts'
import { COMMIT, FakeHub } from './support/fake-hub.ts'
import { mockSurroundings } from './support/mock-language-model.ts'

const TINY = join(ROOT, 'test', 'fixtures', 'tiny', 'bitnet-packed')
/** One request of a header. */
const BLOCK = 1 << 20

let hub: FakeHub
let cache = ''
let env: Record<string, string> = {}

beforeAll(async () => {
  hub = await FakeHub.start()
})
afterAll(() => hub.close())
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'hub-inspect-'))
  env = { HF_ENDPOINT: hub.endpoint, HF_HOME: cache, HF_TOKEN: '' }
  hub.repos.clear()
  hub.log.length = 0
  hub.fault = () => undefined
})
afterEach(async () => {
  // Nothing is kept of what was only looked at.
  expect(await readdir(cache)).toEqual([])
  await rm(cache, { recursive: true, force: true })
})

function checkpoint(prefix = ''): Record<string, Uint8Array> {
  return Object.fromEntries(
    ['config.json', 'model.safetensors'].map((name) => [
      prefix + name,
      new Uint8Array(readFileSync(join(TINY, name))),
    ]),
  )
}

async function inspect(name: string, flags: InspectFlags = {}) {
  const surroundings = mockSurroundings({ env })
  expect(await command.run(flags, surroundings, name)).toBe(0)
  return surroundings.out()
}

async function inspectJson(name: string, flags: InspectFlags = {}) {
  return JSON.parse(await inspect(name, { ...flags, json: true }))
}

describe.skipIf(!hasEmbeddedModel())('a GGUF file (needs the embedded model)', () => {
  const FILE = 'ggml-model-i2_s.gguf'
  let model = new Uint8Array(0)
  beforeAll(() => {
    model = new Uint8Array(readFileSync(join(ROOT, 'models', 'bitnet-ja-en-58m.gguf')))
  })
  const serve = (facts: { licence?: string; gated?: boolean } = {}): void => {
    hub.repos.set('some/model', { files: { [FILE]: model }, ...facts })
  }

  test('of a repository is described by its header, with what the hub says', async () => {
    serve({ licence: 'mit' })
    const found = await inspectJson('some/model')
    expect(found.remote).toEqual({
      model: 'some/model',
      reason: `${FILE}: I2_S, which loads fastest`,
      files: 1,
      totalBytes: model.length,
      revision: COMMIT,
      licence: 'mit',
      gated: false,
      readBytes: expect.any(Number),
    })
    expect(found).toMatchObject({ path: null, layers: [], lossless: null, origins: ['I2_S'] })
    expect(found.parameters.ternary).toBe(50_331_648)
    expect(found.tokenizer.chatTemplate).toContain('<|')
    const totals: { context: number; batch: number; kv: string; bytes: number }[] =
      found.memory.totals
    expect(totals.map(({ context }) => context)).toContain(found.config.contextLength)
    const bytesOf = (batch: number, kv: string) =>
      totals.find((t) => t.context === 512 && t.batch === batch && t.kv === kv)?.bytes ?? 0
    expect(bytesOf(8, 'f16')).toBeGreaterThan(bytesOf(8, 'int8'))
    expect(bytesOf(8, 'int8')).toBeGreaterThan(bytesOf(1, 'int8'))
    // The header lies before the weights: none of these was asked for, but what shares a block.
    const weightsFrom = model.length - found.tensorBytes
    expect(hub.servedBytes).toBe(found.remote.readBytes)
    expect(hub.servedBytes).toBeLessThan(weightsFrom + BLOCK)
    expect(hub.servedBytes).toBeLessThan(model.length / 2)
  })

  test('of any server is described by its address', async () => {
    serve()
    const url = hub.fileUrl('some/model', FILE)
    const found = await inspectJson(url, { kv: 'int4' })
    expect(found.remote).toMatchObject({ model: url, totalBytes: model.length, revision: null })
    expect(new Set(found.memory.totals.map(({ kv }: { kv: string }) => kv))).toEqual(
      new Set(['int4']),
    )
    expect(hub.servedBytes).toBeLessThan(model.length / 2)
  })

  test('says for people what is not shown, and why', async () => {
    serve({ gated: false })
    const text = await inspect('some/model')
    expect(text).toMatch(/^source +some\/model, which is not in the cache$/m)
    expect(text).toMatch(/^licence +not stated$/m)
    expect(text).toMatch(/^read +[\d.]+ MB: the weights stay there, so shares of -1, 0 and \+1/m)
    expect(text).toMatch(/^context +f16, 1 seq\. +f16, 4 seq\. +f16, 8 seq\. +int8, 1 seq\./m)
    expect(text).toMatch(/^ +512 +[\d.]+ MB/m)
  })

  test('is not fetched from a server that knows no ranges', async () => {
    serve()
    hub.fault = () => ({ kind: 'ignore-range' })
    const refused = command.run({}, mockSurroundings({ env }), 'some/model')
    await expect(refused).rejects.toThrow(
      new RegExp(`Expected at most ${BLOCK} bytes .* fetch it with bitnet pull[.]$`),
    )
  })
})

test('a checkpoint is described by its configuration and the header of its weights', async () => {
  hub.repos.set('some/checkpoint', { files: checkpoint() })
  const found = await inspectJson('some/checkpoint')
  expect(found.config.architecture).toBe('bitnet')
  expect(found.remote.files).toBe(2)
  expect(found.remote.reason).toContain('safetensors')
  expect(hub.asked('model.safetensors').map(({ range }) => range)).toEqual([`bytes=0-${BLOCK - 1}`])
})

test('a file in a folder of a repository goes with the configuration beside it', async () => {
  hub.repos.set('some/mixed', { files: checkpoint('packed/') })
  const found = await inspectJson('hf:some/mixed:packed/model.safetensors')
  expect(found.config.architecture).toBe('bitnet')
})

test('failures that pass are tried again, others told in plain words', async () => {
  hub.repos.set('some/checkpoint', { files: checkpoint() })
  let faults = 0
  hub.fault = () => (faults++ === 0 ? { kind: 'status', status: 503, retryAfter: '0' } : undefined)
  expect((await inspectJson('some/checkpoint')).format).toBe('safetensors')
  const nothing = command.run({}, mockSurroundings({ env }), 'some/nothing')
  await expect(nothing).rejects.toThrow('Expected a repository some/nothing')
  hub.repos.set('some/gated', { files: checkpoint(), gated: true })
  const gated = command.run({}, mockSurroundings({ env }), 'some/gated')
  await expect(gated).rejects.toThrow(`Accept them at ${hub.endpoint}/some/gated`)
})

test('without a network the name must be in the cache', async () => {
  const offline = mockSurroundings({ env: { ...env, HF_HUB_OFFLINE: '1' } })
  await expect(command.run({}, offline, 'some/model')).rejects.toThrow('HF_HUB_OFFLINE')
  expect(hub.log).toEqual([])
  expect(readdirSync(cache)).toEqual([])
})
