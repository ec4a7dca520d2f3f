/**
 * Models of several files from a hub and from any server: fetched whole, found again, looked at from afar.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { memorySink } from '../src/formats/byte-sink.ts'
import { writeGguf } from '../src/formats/gguf/index.ts'
import type { ModelFile } from '../src/formats/model-file.ts'
import { writeSafetensors } from '../src/formats/safetensors/index.ts'
import { USUAL_PACE } from '../src/hub/download/patience.ts'
import { parseModelName } from '../src/hub/model-name.ts'
import { openRemoteModel } from '../src/hub/remote-model.ts'
import { listCache } from '../src/node/hub/cache-inventory.ts'
import { findCached } from '../src/node/hub/cached-model.ts'
import type { HubSettings } from '../src/node/hub/hub-settings.ts'
import { NodeClient } from '../src/node/hub/node-client.ts'
import { pullModel } from '../src/node/hub/pull-model.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { FakeHub } from './support/fake-hub.ts'

let hub: FakeHub
let base = ''
let root = ''
beforeAll(async () => {
  hub = await FakeHub.start()
})
afterAll(() => hub.close())
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'hub-parts-'))
  root = base
  hub.repos.clear()
  hub.fault = () => undefined
})
afterEach(() => rm(base, { recursive: true }))

const settings = (): HubSettings => ({
  cacheFolder: root,
  endpoint: hub.endpoint,
  token: undefined,
  offline: false,
  httpProxy: undefined,
  httpsProxy: undefined,
  noProxy: undefined,
})

const data = (length: number) => () => [new Uint8Array(length).fill(7)]

async function parts(folder = ''): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {}
  for (const [i, name] of ['A', 'B', 'C'].entries()) {
    const sink = memorySink()
    await writeGguf(sink, {
      metadata: [
        ['general.architecture', { type: 'string', value: 'x' }],
        ['split.no', { type: 'u16', value: i }],
        ['split.count', { type: 'u16', value: 3 }],
      ],
      tensors: [{ name, type: 'F32', shape: [500], byteLength: 2000, data: data(2000) }],
    })
    files[`${folder}m-i2_s-0000${i + 1}-of-00003.gguf`] = sink.bytes()
  }
  return files
}

async function shards(): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = { 'config.json': new TextEncoder().encode('{}') }
  const weight_map: Record<string, string> = {}
  for (const name of ['A', 'B', 'C']) {
    const sink = memorySink()
    await writeSafetensors(sink, [{ name, dtype: 'U8', shape: [3000], data: data(3000) }])
    weight_map[name] = `weights-${name}.safetensors`
    files[weight_map[name]] = sink.bytes()
  }
  files['old.safetensors'] = files['weights-A.safetensors'].slice(0, 2000)
  files['model.safetensors.index.json'] = new TextEncoder().encode(JSON.stringify({ weight_map }))
  return files
}

async function expectWhole(file: ModelFile): Promise<void> {
  expect([...file.tensors.keys()].sort()).toEqual(['A', 'B', 'C'])
  for (const { source, offset, byteLength } of file.tensors.values()) {
    expect(new Set(await source.read(offset, byteLength))).toEqual(new Set([7]))
  }
  await file.close()
}

async function expectEverywhere(name: string): Promise<void> {
  root = await mkdtemp(join(base, 'cache-'))
  const model = parseModelName(name, hub.endpoint)
  if (model === undefined) throw new Error(`${name} is no model`)
  const client = new NodeClient(settings(), USUAL_PACE)
  const remote = await openRemoteModel(model, client)
  await expectWhole(remote.opened.file)
  await remote.opened.file.close()
  await client.close()
  expect(await readdir(root)).toEqual([])
  expect(await findCached(root, model)).toBeUndefined()
  const { path, files } = await pullModel(model, settings())
  expect(files.length).toBeGreaterThanOrEqual(3)
  await expectWhole((await openModelFile(path)).file)
  const cached = await findCached(root, model)
  expect(cached).toBeDefined()
  await expectWhole((await openModelFile(cached ?? '')).file)
  const again = await pullModel(model, settings())
  expect(again.fetchedBytes).toBe(0)
  expect(await listCache(root)).toHaveLength(1)
}

describe('a GGUF model in parts', () => {
  test.each(['', 'deep/'])('in folder "%s" of a repository', async (folder) => {
    hub.repos.set('some/model', { files: await parts(folder) })
    await expectEverywhere('some/model')
    await expectEverywhere(`some/model:${folder}m-i2_s-00002-of-00003.gguf`)
  })

  test('at any address, by whichever part', async () => {
    hub.repos.set('some/model', { files: await parts() })
    for (const part of [1, 3]) {
      await expectEverywhere(hub.fileUrl('some/model', `m-i2_s-0000${part}-of-00003.gguf`))
    }
  })

  test('at an address that lacks a part is refused, and leaves nothing', async () => {
    const { 'm-i2_s-00002-of-00003.gguf': _, ...files } = await parts()
    hub.repos.set('some/model', { files })
    const model = {
      kind: 'url',
      url: hub.fileUrl('some/model', 'm-i2_s-00001-of-00003.gguf'),
    } as const
    await expect(pullModel(model, settings())).rejects.toThrow('m-i2_s-00002-of-00003.gguf')
    expect(await listCache(root)).toEqual([])
    expect(await readdir(root)).toEqual([])
  })
})

test('shards under names of their own, as the index says', async () => {
  hub.repos.set('some/model', { files: await shards() })
  await expectEverywhere('some/model')
})
