/**
 * Models kept in the browser's private files: fetched once, gone on with after a break, never mixed of two
 * versions, and refused where a server lies. In a page and in a worker.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, hasEmbeddedModel, ROOT } from '../support/built-program.ts'
import { COMMIT, FakeHub, sha256 } from '../support/fake-hub.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { type StaticServer, serve } from './static-server.ts'

const executable = findChromium()
const missing =
  executable === undefined ? 'no Chromium' : hasEmbeddedModel() ? undefined : 'no embedded model'
if (missing !== undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is ${missing}.`)
}

const REPO = 'owner/model'
const FILE = 'model-i2_s.gguf'

interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: values of a page, which tests look into
  readonly value?: any
  readonly error?: { readonly name: string; readonly code: string; readonly message: string }
}

/** Bytes that begin as a GGUF file does. */
function content(size: number): Uint8Array {
  const bytes = randomBytes(size)
  bytes.write('GGUF')
  return new Uint8Array(bytes)
}

describe.skipIf(missing !== undefined)(`a store of models${missing ? ` (${missing})` : ''}`, () => {
  let browser: Browser
  let server: StaticServer
  let hub: FakeHub
  let context: BrowserContext
  let page: Page
  const others: Server[] = []

  beforeAll(async () => {
    await buildProgram()
    browser = await launchChromium(executable ?? '')
    const files = { '/page.js': join(ROOT, 'test/browser/store-page.js') }
    server = await serve({ isolated: true, files })
    context = await browser.newContext()
    page = await openPage()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  beforeEach(async () => {
    hub = await FakeHub.start()
    if (page.isClosed()) page = await openPage()
  })
  afterEach(async () => {
    await page.evaluate('inPage({ name: "clear", args: [] })')
    hub.close()
    for (const other of others.splice(0)) {
      other.closeAllConnections()
      other.close()
    }
  })

  async function openPage(): Promise<Page> {
    const opened = await context.newPage()
    await opened.goto(server.url)
    await opened.waitForFunction('globalThis.ready')
    return opened
  }

  async function ask(name: string, ...args: unknown[]): Promise<Answer> {
    return askIn('inWorker', name, ...args)
  }

  function askIn(where: 'inPage' | 'inWorker', name: string, ...args: unknown[]): Promise<Answer> {
    const request = JSON.stringify({ name, args, hub: hub.endpoint })
    return page.evaluate(`${where}(${request})`) as Promise<Answer>
  }

  /** A server of the test's own. */
  async function serveBy(answer: RequestListener): Promise<string> {
    const other = createServer((request, response) => {
      response.setHeader('Access-Control-Allow-Origin', '*')
      response.setHeader('Access-Control-Expose-Headers', '*')
      answer(request, response)
    })
    others.push(other)
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(other.address() as AddressInfo).port}/`
  }

  /** Waits until a server has sent so much. */
  async function served(bytes: number): Promise<void> {
    while (hub.servedBytes < bytes) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  test.each(['inPage', 'inWorker'] as const)(
    'keeps a model of the hub, which loads without the hub from then on, %s',
    async (where) => {
      const model = readFileSync(join(ROOT, 'models/bitnet-ja-en-58m.gguf'))
      hub.repos.set(REPO, { files: { [FILE]: model, 'README.md': Buffer.from('a') } })
      const first = await askIn(where, 'load', REPO)
      expect(first.error).toBeUndefined()
      expect(first.value).toHaveLength(10)
      const asked = hub.log.length
      expect(await askIn(where, 'load', REPO)).toEqual(first)
      expect(hub.log).toHaveLength(asked)
      const { value } = await askIn(where, 'list')
      expect(value).toMatchObject([{ name: REPO, isWhole: true, commit: COMMIT }])
      // The file, and what is known of it.
      expect(value[0].bytes - model.length).toBeLessThan(1000)
      expect((await askIn(where, 'delete', REPO)).error).toBeUndefined()
      expect((await askIn(where, 'list')).value).toEqual([])
    },
  )

  test('goes on where it was when the tab is closed in the middle', async () => {
    const model = content(8 << 20)
    hub.repos.set(REPO, { files: { [FILE]: model } })
    hub.bytesPerSecond = 8 << 20
    ask('pull', REPO).catch(() => undefined)
    await served(4 << 20)
    await page.close()
    page = await openPage()
    expect((await ask('list')).value).toMatchObject([{ name: REPO, isWhole: false }])
    hub.bytesPerSecond = undefined
    const { value } = await ask('pull', REPO)
    expect(value.kept).toMatchObject({ name: REPO, isWhole: true })
    // Told in whole megabytes; what was under way is fetched again.
    expect(value.first.doneBytes).toBeGreaterThanOrEqual(1 << 20)
    expect((await ask('files')).value).toContainEqual(
      expect.objectContaining({ name: sha256(model), hex: sha256(model) }),
    )
  })

  test('never mixes halves of two versions of an address, and keeps the whole one meanwhile', async () => {
    const versions = [content(6 << 20), content(6 << 20)]
    hub.repos.set(REPO, { files: { [FILE]: versions[0] } })
    const url = hub.fileUrl(REPO, FILE)
    hub.bytesPerSecond = 6 << 20
    ask('pull', url).catch(() => undefined)
    await served(3 << 20)
    await page.close()
    page = await openPage()
    hub.repos.set(REPO, { files: { [FILE]: versions[1] } })
    hub.bytesPerSecond = undefined
    expect((await ask('pull', url)).value.kept).toMatchObject({ name: url, isWhole: true })
    const hexes = async () => {
      const { value } = await ask('files')
      return value
        .filter(({ name }: { name: string }) => name !== 'model.json')
        .map(({ hex }: { hex: string }) => hex)
    }
    expect(await hexes()).toEqual([sha256(versions[1])])
    // A third version that cannot be had leaves the second.
    hub.repos.set(REPO, { files: { [FILE]: content(6 << 20) } })
    hub.fault = ({ range }) => (range === 'bytes=0-0' ? undefined : { kind: 'status', status: 404 })
    expect((await ask('pull', url)).error).toMatchObject({ code: 'DOWNLOAD' })
    expect((await ask('list')).value).toMatchObject([{ name: url, isWhole: true }])
    expect(await hexes()).toContain(sha256(versions[1]))
  })

  test('refuses what has not the hash that the hub states, and keeps nothing of it', async () => {
    hub.repos.set(REPO, { files: { [FILE]: content(100_000) } })
    hub.fault = () => ({ kind: 'corrupt', at: 5000 })
    const { error } = await ask('pull', REPO)
    expect(error).toMatchObject({ name: 'DownloadError' })
    expect(error?.message).toMatch(/Expected the content with sha256/)
    expect((await ask('files')).value).toMatchObject([{ name: 'model.json' }])
  })

  test.each([
    ['range', { kind: 'range', by: 4 }],
    ['total', { kind: 'total', by: 100 }],
  ] as const)('is not taken in by a %s that is not true once', async (_, lie) => {
    const model = content(100_000)
    hub.repos.set(REPO, { files: { [FILE]: model } })
    hub.fault = () =>
      hub.log.filter(({ place }) => place === 'storage').length > 1 ? undefined : lie
    expect((await ask('pull', REPO)).value.kept).toMatchObject({ isWhole: true })
    expect((await ask('files')).value).toContainEqual(
      expect.objectContaining({ hex: sha256(model) }),
    )
  })

  test('does not hear out a body without an end', async () => {
    const url = await serveBy(({ headers }, response) => {
      const isProbe = headers.range === 'bytes=0-0'
      response.writeHead(206, { 'Content-Range': `bytes 0-${isProbe ? 0 : 9999}/10000` })
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 16)));
        response.once('drain', more)
      }
      more()
    })
    const { error } = await ask('pull', `${url}model.gguf`)
    expect(error).toMatchObject({ name: 'DownloadError' })
    expect(error?.message).toMatch(/changed 3 times/)
  })

  test('says that a server gives no size, and that a page is no model', async () => {
    const url = await serveBy(({ url = '' }, response) => {
      const text = '<!doctype html><title>Sign in</title>'
      // In pieces, its size is not known before.
      if (!url.includes('sized')) response.write(text.slice(0, 10))
      response.end(url.includes('sized') ? text : text.slice(10))
    })
    expect((await ask('pull', `${url}model.gguf`)).error?.message).toMatch(/tell the file's size/)
    const { error } = await ask('pull', `${url}sized.gguf`)
    expect(error?.message).toMatch(/Expected a model from .* got something else/)
    expect((await ask('list')).value).toEqual([])
  })

  test('no name of a server becomes one of a file', async () => {
    const entry = { type: 'file', path: '../../../evil.gguf', size: 10, oid: 'a'.repeat(40) }
    const files = { 'a/b/c-i2_s.gguf': content(5000) }
    hub.repos.set(REPO, { files, extraEntries: [entry] })
    expect((await ask('pull', REPO)).value.kept.isWhole).toBe(true)
    const url = await serveBy((_, response) => {
      response.end(content(5000))
    })
    expect((await ask('pull', `${url}..%2F..%2Fevil.gguf`)).value.kept.isWhole).toBe(true)
    const { value } = await ask('files')
    expect(value).toHaveLength(4)
    for (const { store, name } of value) {
      expect(store).toBe('bitnet-ts-models')
      expect(name).toMatch(/^([0-9a-f]{64}|model\.json)$/)
    }
  })

  test('says what is needed, what is there and what could go, where the browser states too little', async () => {
    hub.repos.set('owner/small', { files: { [FILE]: content(1 << 20) } })
    hub.repos.set(REPO, { files: { [FILE]: content(8 << 20) } })
    await askIn('inPage', 'pull', 'owner/small')
    const asked = hub.asked(FILE).length
    await page.evaluate('navigator.storage.estimate = async () => ({ usage: 1e6, quota: 5e6 })')
    const { error } = await askIn('inPage', 'pull', REPO)
    await page.evaluate('delete navigator.storage.estimate')
    expect(error).toMatchObject({ code: 'DISK_FULL' })
    expect(error?.message).toMatch(
      /^owner\/model takes 8\.39 MB\. Expected 8\.39 MB of free space in the browser's files of this site, got 4\.00 MB\. Kept are owner\/small \(1\.05 MB\)/,
    )
    expect(hub.asked(FILE)).toHaveLength(asked)
  })

  test.each(['inPage', 'inWorker'] as const)(
    'tells a disk that gets full on the way, and goes on when there is room, %s',
    async (where) => {
      hub.repos.set(REPO, { files: { [FILE]: content(8 << 20) } })
      const devtools = await context.newCDPSession(page)
      const origin = new URL(server.url).origin
      await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 5 << 20 })
      const { error } = await askIn(where, 'pull', REPO)
      expect(error).toMatchObject({ code: 'DISK_FULL' })
      expect(error?.message).toMatch(
        /^owner\/model takes 8\.39 MB\. Expected to write more, .* Kept are owner\/model \(\d/,
      )
      await devtools.send('Storage.overrideQuotaForOrigin', { origin })
      const { value } = await askIn(where, 'pull', REPO)
      expect(value.first.doneBytes).toBeGreaterThan(3 << 20)
      expect(value.kept.isWhole).toBe(true)
    },
  )

  test('deletes nothing that is in use, and nothing that there is not', async () => {
    hub.repos.set(REPO, { files: { [FILE]: content(4 << 20) } })
    hub.bytesPerSecond = 4 << 20
    expect((await ask('deleteMeanwhile', REPO)).value).toMatch(/loading or fetching it/)
    expect((await ask('delete', 'owner/other')).error).toMatchObject({
      name: 'ModelNotFoundError',
      message: `Expected a kept model, got owner/other. Kept are ${REPO}.`,
    })
  })

  test('two tabs that want a model at once fetch it once', async () => {
    const model = content(3 << 20)
    hub.repos.set(REPO, { files: { [FILE]: model } })
    hub.bytesPerSecond = 6 << 20
    const request = JSON.stringify({ name: 'pull', args: [REPO], hub: hub.endpoint })
    const other = await openPage()
    const tabs = [page, other]
    const pulled = await Promise.all(tabs.map((tab) => tab.evaluate(`inWorker(${request})`)))
    await other.close()
    for (const { value } of pulled as Answer[]) expect(value.kept.isWhole).toBe(true)
    expect(hub.asked(FILE)).toHaveLength(1)
  })

  test('tells what room there is, and whether it is kept for good', async () => {
    expect((await ask('space')).value).toMatchObject({ isPersistent: false })
    for (const where of ['inPage', 'inWorker'] as const) {
      expect(typeof (await askIn(where, 'persist')).value).toBe('boolean')
    }
  })
})
