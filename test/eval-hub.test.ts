/**
 * Datasets from a hub of this test's own: from an empty cache, again without a network, with a token,
 * and what is said when a dataset is not where it was.
 */
import { mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DownloadError, UsageError } from '../src/errors.ts'
import { tasksNamed } from '../src/eval/tasks/all-tasks.ts'
import { fetchDatasetFile } from '../src/node/eval/dataset-hub.ts'
import { loadTask, parseDatasetChoice } from '../src/node/eval/datasets.ts'
import { COMMIT, FakeHub, sha256 } from './support/fake-hub.ts'

const BRANCH = 'refs/convert/parquet'
const ARC = 'allenai/ai2_arc'
const FILE = 'ARC-Easy/test/0000.parquet'
/** Large enough to come from the storage server, as all parquet files of the hub do. */
const large = Uint8Array.from({ length: 5000 }, (_, i) => i % 251)

let hub: FakeHub
let home = ''
let env: Record<string, string>
let arcRows: Uint8Array

beforeAll(async () => {
  const fixture = new URL('fixtures/eval/arc_easy.parquet', import.meta.url)
  arcRows = new Uint8Array(await readFile(fileURLToPath(fixture)))
  hub = await FakeHub.start()
  const other = new TextEncoder().encode('other')
  hub.repos.set(`datasets/${ARC}`, { files: { [FILE]: arcRows, 'ARC-Easy/train/x': other } })
  hub.repos.set('datasets/some/copy', { files: { 'easy set/dev/0000.parquet': arcRows } })
  hub.repos.set('datasets/some/large', { files: { [FILE]: large } })
  hub.repos.set('datasets/some/gated', { files: { [FILE]: large }, gated: true })
})
afterAll(() => hub.close())
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'eval-hub-'))
  env = { HF_ENDPOINT: hub.endpoint, HF_HOME: home }
  hub.log.length = 0
})
afterEach(() => rm(home, { recursive: true, force: true }))

const fetchFile = (repo: string, path = FILE, more: Record<string, string> = {}) =>
  fetchDatasetFile(repo, BRANCH, path, undefined, { env: { ...env, ...more } })

describe('a file of a dataset', () => {
  test("goes to the cache of the hub's own tools and is read from there ever after", async () => {
    const path = await fetchFile('some/large')
    const folder = join(home, 'hub', 'datasets--some--large')
    expect(path).toBe(join(folder, 'snapshots', COMMIT, FILE))
    expect(new Uint8Array(await readFile(path))).toEqual(large)
    expect(await readlink(path)).toContain(join('blobs', sha256(large)))
    expect(await readFile(join(folder, 'refs', BRANCH), 'utf8')).toBe(COMMIT)
    hub.log.length = 0
    expect(await fetchFile('some/large', FILE, { HF_HUB_OFFLINE: '1' })).toBe(path)
    expect(await fetchFile('some/large')).toBe(path)
    expect(hub.log).toEqual([])
  })

  test('that is not cached cannot be had offline', async () => {
    const fetched = fetchFile('some/large', FILE, { HF_HUB_OFFLINE: '1' })
    await expect(fetched).rejects.toThrow('HF_HUB_OFFLINE')
    expect(hub.log).toEqual([])
  })

  test('is asked for with the token, which the storage server never sees', async () => {
    await expect(fetchFile('some/gated')).rejects.toThrow(
      `Accept them at ${hub.endpoint}/datasets/some/gated and set HF_TOKEN`,
    )
    await writeFile(join(home, 'token'), 'hf_secret\n')
    hub.log.length = 0
    await fetchFile('some/gated')
    const tokens = (place: string) =>
      hub.log.filter((asked) => asked.place === place).map(({ authorization }) => authorization)
    expect(new Set(tokens('hub'))).toEqual(new Set(['Bearer hf_secret']))
    expect(tokens('storage')).toEqual([undefined])
  })

  test.each([
    ['some/nothing', FILE, 'Expected a repository some/nothing'],
    [ARC, 'ARC-Easy/dev/0000.parquet', 'not in its list of files'],
  ])('of %s, %s that is not there says how to name another one', async (repo, path, message) => {
    const error: unknown = await fetchFile(repo, path).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(DownloadError)
    expect(String(error)).toContain(message)
    expect(String(error)).toContain('--dataset TASK=owner/name:config:split')
  })

  test('that arrives damaged is not kept', async () => {
    hub.fault = ({ path }) => (path.endsWith('.parquet') ? { kind: 'corrupt', at: 7 } : undefined)
    try {
      await expect(fetchFile('some/large')).rejects.toThrow()
    } finally {
      hub.fault = () => undefined
    }
    expect(new Uint8Array(await readFile(await fetchFile('some/large')))).toEqual(large)
  })
})

describe('--dataset', () => {
  const load = (dataset?: ReturnType<typeof parseDatasetChoice>[1]) =>
    loadTask(tasksNamed(['arc_easy'])[0], {
      ...{ examples: false, dataset },
      fetchFile: (repo, revision, path) =>
        fetchDatasetFile(repo, revision, path, undefined, { env }),
    })

  test('reads the same items from another repository, configuration and split', async () => {
    const [task, dataset] = parseDatasetChoice('arc_easy=some/copy:easy set:dev')
    expect(task).toBe('arc_easy')
    expect((await load(dataset)).items).toEqual((await load()).items)
    expect(hub.log.map(({ path }) => path)).toContain(
      `/datasets/some/copy/resolve/${COMMIT}/easy set/dev/0000.parquet`,
    )
  })

  test.each([
    ['arc_easy', 'owner/name'],
    ['arc_easy=name', 'owner/name'],
    ['arc_easy=../name', 'owner/name'],
    ['arc_easy=a/b:../x', 'owner/name'],
    ['arc_easy=a/b:c:d:e', 'owner/name'],
    ['nothing=a/b', 'Expected tasks out of'],
    ['all=a/b', 'the group "all"'],
  ])('%s is refused', (text, message) => {
    expect(() => parseDatasetChoice(text)).toThrow(UsageError)
    expect(() => parseDatasetChoice(text)).toThrow(message)
  })
})
