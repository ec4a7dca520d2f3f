/**
 * Two hundred downloads from a server that misbehaves at random, each with its own seed: what is in the
 * cache at the end is the file or nothing, and what had come was not fetched again.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DownloadError } from '../src/errors.ts'
import { USUAL_TUNING } from '../src/node/hub/disk-store.ts'
import type { HubSettings } from '../src/node/hub/hub-settings.ts'
import { pullModel } from '../src/node/hub/pull-model.ts'
import { FakeHub, type Fault } from './support/fake-hub.ts'

const PIECE = 16 << 10
const SIZE = 20 * PIECE + 777
const MAX_FAULTS = 6
const TUNING = {
  ...USUAL_TUNING,
  pace: { firstWaitMs: 1, longestWaitMs: 4, failures: 12, silenceMs: 1500 },
  connections: 3,
  pieceBytes: PIECE,
  lockPollMs: 2,
}

let hub: FakeHub
let root = ''
beforeAll(async () => {
  hub = await FakeHub.start()
  root = await mkdtemp(join(tmpdir(), 'hub-faults-'))
})
afterAll(async () => {
  hub.close()
  await rm(root, { recursive: true, force: true })
})

/** Mulberry32. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed * 2654435769
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }
}

/** Faults after which everything that came is still good. */
function harmless(random: (limit: number) => number): Fault {
  const faults: Fault[] = [
    { kind: 'cut', after: random(PIECE) },
    { kind: 'cut', after: 0 },
    { kind: 'status', status: [429, 500, 502, 503, 504][random(5)], retryAfter: '0' },
    { kind: 'length', by: 1 + random(5000) },
    { kind: 'range', by: 1 + random(100) },
    { kind: 'total', by: 1 + random(100) },
    { kind: 'etag', etag: `"other-${random(1000)}"` },
  ]
  return faults[random(faults.length)]
}

/** Faults that spoil what was fetched, or make a server send all of it. */
function harmful(random: (limit: number) => number): Fault {
  const faults: Fault[] = [
    { kind: 'corrupt', at: random(PIECE) },
    { kind: 'ignore-range' },
    { kind: 'length', by: -1 - random(100) },
  ]
  return faults[random(faults.length)]
}

async function pullWithFaults(seed: number, draw: typeof harmless) {
  const random = randomFrom(seed)
  const content = new Uint8Array(SIZE).map(() => random(256))
  hub.repos.set('some/model', { files: { 'model-i2_s.gguf': content } })
  hub.log.length = 0
  let faults = 0
  hub.fault = () => {
    if (faults >= MAX_FAULTS || random(3) === 0) return undefined
    faults++
    return draw(random)
  }
  const settings: HubSettings = {
    cacheFolder: join(root, String(seed)),
    endpoint: hub.endpoint,
    token: undefined,
    offline: false,
    httpProxy: undefined,
    httpsProxy: undefined,
    noProxy: undefined,
  }
  const model = { kind: 'hub', repo: 'some/model' } as const
  // Somebody stops it once in the middle, and starts it again.
  const stop = new AbortController()
  const stopAt = random(2 * SIZE)
  const onDownload = ({ doneBytes }: { doneBytes: number }): void => {
    if (doneBytes >= stopAt) stop.abort()
  }
  const first = pullModel(model, settings, { tuning: TUNING, signal: stop.signal, onDownload })
  const pulled = await first.catch((error: unknown) => {
    if (!stop.signal.aborted && !(error instanceof DownloadError)) throw error
    return pullModel(model, settings, { tuning: TUNING })
  })
  const stored = await readFile(pulled.path)
  return { isRight: stored.equals(content), folder: settings.cacheFolder, faults }
}

describe('with faults that leave what came good', () => {
  test.each(Array.from({ length: 10 }, (_, i) => i))('ten seeds from %i0 on', async (ten) => {
    for (let seed = 10 * ten; seed < 10 * ten + 10; seed++) {
      const { isRight, folder } = await pullWithFaults(seed, harmless)
      expect(isRight, `seed ${seed}`).toBe(true)
      // A fault loses at most the piece in flight; a stop, one of each connection.
      const limit = SIZE + (MAX_FAULTS + TUNING.connections) * PIECE
      expect(hub.servedBytes, `seed ${seed}`).toBeLessThanOrEqual(limit)
      expect(await leftovers(folder), `seed ${seed}`).toEqual([])
    }
  })
})

describe('with faults that spoil the content, too', () => {
  test.each(Array.from({ length: 10 }, (_, i) => 10 + i))('ten seeds from %i0 on', async (ten) => {
    for (let seed = 10 * ten; seed < 10 * ten + 10; seed++) {
      const { isRight, folder } = await pullWithFaults(seed, (random) =>
        random(2) === 0 ? harmless(random) : harmful(random),
      )
      expect(isRight, `seed ${seed}`).toBe(true)
      expect(await leftovers(folder), `seed ${seed}`).toEqual([])
    }
  })
})

test('content that never fits its hash ends in an error, and leaves nothing behind', async () => {
  const content = new Uint8Array(SIZE).fill(7)
  hub.repos.set('some/model', { files: { 'model-i2_s.gguf': content } })
  hub.fault = (asked) => (asked.range?.includes('=0-') ? { kind: 'corrupt', at: 5 } : undefined)
  const cacheFolder = join(root, 'never')
  const settings = { cacheFolder, endpoint: hub.endpoint, token: undefined, offline: false }
  const proxies = { httpProxy: undefined, httpsProxy: undefined, noProxy: undefined }
  const pulled = pullModel(
    { kind: 'hub', repo: 'some/model' },
    { ...settings, ...proxies },
    { tuning: TUNING },
  )
  await expect(pulled).rejects.toThrow('3 times something else came')
  expect(await readdir(join(cacheFolder, 'models--some--model', 'blobs'))).toEqual([])
})

/** Everything of an unfinished download that is still there. */
async function leftovers(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => /\.bitnet\.|\.part$/.test(name))
}
