/**
 * What fetching must never do, whatever servers say: give the token away, write outside the cache, fill
 * the disk or the memory, go around the proxy, or mix two versions of a file.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UsageError } from '../src/errors.ts'
import { fetchDatasetFile } from '../src/node/eval/dataset-hub.ts'
import { listCache } from '../src/node/hub/cache-inventory.ts'
import { USUAL_TUNING } from '../src/node/hub/disk-store.ts'
import { type HubSettings, readHubSettings } from '../src/node/hub/hub-settings.ts'
import { pullModel } from '../src/node/hub/pull-model.ts'
import { COMMIT, FakeHub } from './support/fake-hub.ts'
import { RecordingProxy } from './support/recording-proxy.ts'

const PIECE = 16 << 10
const SIZE = 8 * PIECE + 77
const FILE = 'model-i2_s.gguf'
const REPO = { kind: 'hub', repo: 'some/model' } as const
const TUNING = {
  ...USUAL_TUNING,
  pace: { firstWaitMs: 1, longestWaitMs: 4, failures: 3, silenceMs: 20_000 },
  connections: 3,
  pieceBytes: PIECE,
  lockPollMs: 2,
}
const contentOf = (seed: number) => new Uint8Array(SIZE).map((_, i) => (i * 2654435761 + seed) >> 7)

let hub: FakeHub
let proxy: RecordingProxy
let root = ''
let content = contentOf(1)
beforeAll(async () => {
  hub = await FakeHub.start()
  proxy = await RecordingProxy.start()
})
afterAll(() => {
  hub.close()
  proxy.close()
})
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hub-safety-'))
  content = contentOf(1)
  hub.repos.clear()
  hub.repos.set('some/model', { files: { [FILE]: content } })
  hub.log.length = 0
  hub.fault = () => undefined
  hub.padTo = 0
  hub.nextPageAt = undefined
  proxy.log.length = 0
  proxy.target = undefined
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** Of an environment, with a cache two folders deep. */
function settings(env: Record<string, string> = {}): Promise<HubSettings> {
  const cache = { HF_HUB_CACHE: join(root, 'a', 'cache'), HF_HOME: root }
  return readHubSettings({ HF_ENDPOINT: hub.endpoint, ...cache, ...env })
}

const pull = async (env?: Record<string, string>, more = {}) =>
  pullModel(REPO, await settings(env), { tuning: { ...TUNING, ...more } })

describe('the token', () => {
  test('is sent to the hub, and not to the server that it redirects to', async () => {
    await pull({ HF_TOKEN: 'hf_secret' })
    const seen = (place: string) =>
      new Set(hub.log.filter((one) => one.place === place).map((one) => one.authorization))
    expect(seen('hub')).toEqual(new Set(['Bearer hf_secret']))
    expect(seen('storage')).toEqual(new Set([undefined]))
  })

  test.each(['two words', 'line\nbreak', 'schlüssel', 'x'.repeat(1001)])(
    'is not %j, which no header holds',
    async (token) => {
      await expect(settings({ HF_TOKEN: token })).rejects.toThrow(UsageError)
    },
  )

  test('is not sent with an address of another server', async () => {
    const url = hub.fileUrl('some/model', FILE)
    await pullModel({ kind: 'url', url }, await settings({ HF_TOKEN: 'hf_secret' }), {
      tuning: TUNING,
    })
    expect(hub.log.length).toBeGreaterThan(0)
    expect(hub.log.every(({ authorization }) => authorization === undefined)).toBe(true)
  })

  test('is not carried to a next page somewhere else', async () => {
    const names = ['a.json', 'b.json', 'c.json', 'd.json']
    const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(3)]))
    hub.repos.set('some/model', { files })
    hub.nextPageAt = hub.fileUrl('some/model', FILE)
    await expect(pull({ HF_TOKEN: 'hf_secret' })).rejects.toThrow('at the same place')
    expect(hub.log.filter(({ place }) => place === 'storage')).toEqual([])
  })
})

describe('a proxy', () => {
  test('of HTTP_PROXY carries everything, so that the hub need not be known here', async () => {
    proxy.target = new URL(hub.endpoint)
    const pulled = await pull({ HF_ENDPOINT: 'http://hub.invalid', HTTP_PROXY: proxy.address })
    expect(content).toEqual(new Uint8Array(await readFile(pulled.path)))
    expect(proxy.log.some((line) => line.includes('hub.invalid'))).toBe(true)
    expect(proxy.log.some((line) => line.includes(new URL(hub.fileUrl('a', 'b')).host))).toBe(true)
  })

  test('of HTTPS_PROXY is asked for a tunnel, and its refusal is told', async () => {
    const secure = { HF_ENDPOINT: 'https://hub.invalid', https_proxy: proxy.address }
    await expect(pull(secure)).rejects.toThrow(/HTTPS_PROXY/)
    expect(new Set(proxy.log)).toEqual(new Set(['CONNECT hub.invalid:443']))
  })

  test('is gone around for the hosts of NO_PROXY', async () => {
    await pull({ HTTP_PROXY: proxy.address, NO_PROXY: '127.0.0.1' })
    expect(proxy.log).toEqual([])
  })
})

describe('a disk that is too small', () => {
  test('is seen before anything is fetched', async () => {
    const freeBytes = async () => SIZE - 1
    const refused = pull({}, { freeBytes })
    await expect(refused).rejects.toMatchObject({ code: 'DISK_FULL' })
    await expect(refused).rejects.toThrow('bitnet cache rm')
    expect(hub.servedBytes).toBe(0)
    expect(await readdir(root)).toEqual([])
    expect((await pull({}, { freeBytes: async () => SIZE })).fetchedBytes).toBe(SIZE)
    // What is there needs no more room.
    expect((await pull({}, { freeBytes: async () => 0 })).fetchedBytes).toBe(0)
  })
})

describe('what a hub says of its files', () => {
  test('is not read without end', async () => {
    hub.padTo = 9 << 20
    await expect(pull()).rejects.toThrow(`Expected at most ${8 << 20} bytes`)
  })

  test('has its next page at the same place', async () => {
    const names = ['a.json', 'b.json', 'c.json', 'd.json']
    const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(3)]))
    hub.repos.set('some/model', { files })
    hub.nextPageAt = `${hub.endpoint}/api/models/other/model/tree/${COMMIT}`
    await expect(pull()).rejects.toThrow('at the same place')
    expect(hub.log.filter(({ path }) => path.includes('other/model'))).toEqual([])
  })

  test('is not listed without end', async () => {
    // Three a page.
    const extraEntries = Array.from({ length: 130 }, (_, i) => ({
      type: 'directory',
      path: `${i}`,
    }))
    hub.repos.set('some/model', { files: { [FILE]: content }, extraEntries })
    await expect(pull()).rejects.toThrow('to end after 40 pages')
  })

  test('leads to no file outside the cache', async () => {
    const oid = '0'.repeat(40)
    const names = ['../../../up-i2_s.gguf', '/root-i2_s.gguf', '..\\..\\up-i2_s.gguf', 'a/../../x']
    const extraEntries = names.map((path) => ({ type: 'file', path, size: 5, oid }))
    hub.repos.set('some/model', { files: { [FILE]: content }, extraEntries })
    const pulled = await pull()
    expect(pulled.files.map(({ path }) => path)).toEqual([FILE])
    expect(pulled.path).toBe(
      join(root, 'a', 'cache', 'models--some--model', 'snapshots', COMMIT, FILE),
    )
    expect(await readdir(root)).toEqual(['a'])
    expect(await readdir(join(root, 'a'))).toEqual(['cache'])
  })
})

test('a fetch that was refused in the middle is no model in the lists, but unfinished', async () => {
  const files = { 'config.json': new Uint8Array(9), 'model.safetensors': content }
  hub.repos.set('some/model', { files })
  hub.fault = ({ path }) =>
    path.endsWith('.safetensors') ? { kind: 'status', status: 403 } : undefined
  await expect(pull()).rejects.toThrow()
  const list = async () => listCache((await settings()).cacheFolder)
  expect(await list()).toMatchObject([{ revisions: [], bytes: 9, unfinishedBytes: 9 }])
  hub.fault = () => undefined
  await pull()
  expect(await list()).toMatchObject([
    { revisions: [{ files: Object.keys(files) }], unfinishedBytes: 0 },
  ])
})

// What a read-only disk does cannot be had as root; a file in place of a folder refuses as well.
describe('a cache that cannot be written to', () => {
  const fileAddress = () => ({ kind: 'url', url: hub.fileUrl('some/model', FILE) }) as const

  test('is told before any server is asked', async () => {
    await writeFile(join(root, 'file'), '')
    const below = await settings({ HF_HUB_CACHE: join(root, 'file', 'hub') })
    for (const model of [REPO, fileAddress()]) {
      const pulled = pullModel(model, below, { tuning: TUNING })
      await expect(pulled).rejects.toMatchObject({
        code: 'CACHE',
        message: expect.stringContaining('set HF_HUB_CACHE to another one'),
      })
    }
    const dataset = fetchDatasetFile('some/data', 'main', 'a.txt', undefined, {
      env: { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(root, 'file', 'hub') },
      tuning: TUNING,
    })
    await expect(dataset).rejects.toMatchObject({ code: 'CACHE' })
    expect(hub.log).toEqual([])
  })

  test('gives what it has, and nothing in it is touched', async () => {
    const models = [REPO, fileAddress()]
    const cache = (await settings()).cacheFolder
    const paths: string[] = []
    for (const model of models) {
      paths.push((await pullModel(model, await settings(), { tuning: TUNING })).path)
    }
    await rm(join(cache, '.locks'), { recursive: true })
    await writeFile(join(cache, '.locks'), '')
    const before = await changesBelow(cache)
    for (const [i, model] of models.entries()) {
      const again = await pullModel(model, await settings(), { tuning: TUNING })
      expect(again).toMatchObject({ path: paths[i], fetchedBytes: 0 })
    }
    expect(await changesBelow(cache)).toEqual(before)
  })

  /** When each file and folder was last changed. */
  async function changesBelow(folder: string): Promise<[string, number][]> {
    const names = await readdir(folder, { recursive: true })
    return Promise.all(
      names.sort().map(async (name) => [name, (await stat(join(folder, name))).ctimeMs]),
    )
  }
})

describe('a file of any server', () => {
  const address = () => ({ kind: 'url', url: hub.fileUrl('some/model', FILE) }) as const
  const pullFile = async (options = {}) =>
    pullModel(address(), await settings(), { tuning: TUNING, ...options })
  const replace = (seed: number): void => {
    content = contentOf(seed)
    hub.repos.set('some/model', { files: { [FILE]: content } })
  }
  const isWhole = async (path: string) => Buffer.from(content).equals(await readFile(path))

  test('is fetched once, and again when the server has another one', async () => {
    const first = await pullFile()
    expect(await isWhole(first.path)).toBe(true)
    expect((await pullFile()).fetchedBytes).toBe(0)
    replace(2)
    expect((await pullFile()).fetchedBytes).toBe(SIZE)
    expect(await isWhole(first.path)).toBe(true)
  })

  test('that is a web page is no model, and nothing of it is kept', async () => {
    content = new TextEncoder().encode(`<!DOCTYPE html><title>Log in</title>${' '.repeat(2000)}`)
    hub.repos.set('some/model', { files: { [FILE]: content } })
    await expect(pullFile()).rejects.toThrow('got something else. It is a web page')
    expect(await readdir(join(root, 'a', 'cache', 'bitnet-urls'))).toEqual([])
    replace(4)
    expect(await isWhole((await pullFile()).path)).toBe(true)
  })

  test('goes on where it was', async () => {
    const stop = new AbortController()
    const onDownload = ({ doneBytes }: { doneBytes: number }): void => {
      if (doneBytes > SIZE / 2) stop.abort()
    }
    await expect(pullFile({ signal: stop.signal, onDownload })).rejects.toThrow()
    const second = await pullFile()
    expect(second.fetchedBytes).toBeLessThan(SIZE / 2)
    expect(await isWhole(second.path)).toBe(true)
  })

  test('that changes in the middle is never a mixture', async () => {
    let changes = 0
    hub.fault = ({ range }) => {
      if (range === 'bytes=0-0' || changes > 0) return undefined
      changes++
      replace(3)
      return { kind: 'cut', after: 100 }
    }
    const pulled = await pullFile()
    expect(changes).toBe(1)
    expect(await isWhole(pulled.path)).toBe(true)
  })

  test('with a weak tag comes in pieces all the same', async () => {
    hub.fault = () => ({ kind: 'etag', etag: 'W/"1"' })
    expect(await isWhole((await pullFile()).path)).toBe(true)
    expect(hub.servedBytes).toBe(1 + SIZE)
  })

  test('that has another size in the middle is begun anew', async () => {
    let changes = 0
    hub.fault = ({ range }) => {
      if (range === 'bytes=0-0' || changes > 0) return undefined
      changes++
      return { kind: 'total', by: 1 }
    }
    expect(await isWhole((await pullFile()).path)).toBe(true)
    // It was looked at once more.
    expect(hub.log.filter(({ range }) => range === 'bytes=0-0')).toHaveLength(2)
  })

  test('that never stays the same is given up', async () => {
    let seed = 10
    hub.fault = ({ range }) => {
      if (range !== 'bytes=0-0') return undefined
      // What was just described is gone before it is fetched.
      replace(seed++)
      return undefined
    }
    await expect(pullFile()).rejects.toThrow('it changed 3 times')
    expect(await readdir(join(root, 'a', 'cache', 'bitnet-urls'))).toHaveLength(1)
  })

  test('comes whole from a server that knows no ranges', async () => {
    hub.fault = () => ({ kind: 'ignore-range' })
    expect(await isWhole((await pullFile()).path)).toBe(true)
  })
})
