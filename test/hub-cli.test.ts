/**
 * The built program against a hub of this test's own: from an empty cache to a chat, again without a
 * network, two at once, and killed in the middle.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  bitnet,
  buildProgram,
  hasEmbeddedModel,
  ROOT,
  startBitnet,
} from './support/built-program.ts'
import { FakeHub } from './support/fake-hub.ts'

const REPO = 'some/model-gguf'
const FILE = 'ggml-model-i2_s.gguf'

describe.skipIf(!hasEmbeddedModel())(
  'bitnet with models of a hub (needs the embedded model)',
  () => {
    let hub: FakeHub
    let cache = ''
    let env: Record<string, string>
    let size = 0

    beforeAll(async () => {
      await buildProgram()
      const model = new Uint8Array(readFileSync(join(ROOT, 'models', 'bitnet-ja-en-58m.gguf')))
      size = model.length
      hub = await FakeHub.start()
      const readme = new TextEncoder().encode('a model')
      hub.repos.set(REPO, {
        files: { 'README.md': readme, [FILE]: model, 'other-f16.gguf': readme },
      })
      hub.repos.set('some/gated', { files: { [FILE]: model }, gated: true })
    })
    afterAll(() => hub.close())
    beforeEach(async () => {
      cache = await mkdtemp(join(tmpdir(), 'hub-cli-'))
      env = { HF_ENDPOINT: hub.endpoint, HF_HOME: cache, HOME: cache, BITNET_CACHE: cache }
      hub.log.length = 0
      hub.bytesPerSecond = undefined
    })
    afterEach(() => rm(cache, { recursive: true, force: true }))

    test('chat fetches a model by its name, and needs no network the second time', async () => {
      const options = { env, input: 'Hello\n' }
      const args = ['chat', '-m', REPO, '-n', '4', '--seed', '1']
      const first = await bitnet(args, options)
      expect(first.code, first.err).toBe(0)
      expect(hub.servedBytes).toBe(size)
      hub.log.length = 0
      const offline = { ...env, HF_HUB_OFFLINE: '1', HF_ENDPOINT: 'http://127.0.0.1:1' }
      const second = await bitnet(args, { ...options, env: offline })
      expect(second.code, second.err).toBe(0)
      expect(second.out).toBe(first.out)
      expect(hub.log).toEqual([])
    })

    test('pull says what it chose, prints the path, and fetches nothing twice', async () => {
      const first = await bitnet(['pull', REPO, '--json'], { env })
      expect(first.code, first.err).toBe(0)
      expect(first.err).toContain(`${FILE}: I2_S, which loads fastest (1 file`)
      expect(JSON.parse(first.out)).toMatchObject({ fetchedBytes: size, totalBytes: size })
      const again = await bitnet(['pull', `hf:${REPO}:${FILE}@main`], { env })
      expect(again.out.trim()).toBe(JSON.parse(first.out).path)
      expect(hub.servedBytes).toBe(size)
      const listed = await bitnet(['cache', 'list', '--json'], { env })
      expect(JSON.parse(listed.out).models).toMatchObject([
        { name: REPO, bytes: expect.any(Number) },
      ])
      expect(await bitnet(['cache', 'verify'], { env })).toMatchObject({ code: 0 })
      expect(await bitnet(['cache', 'rm', REPO], { env })).toMatchObject({ code: 2 })
      expect(await bitnet(['cache', 'rm', REPO, '--yes'], { env })).toMatchObject({ code: 0 })
      expect(JSON.parse((await bitnet(['cache', 'list', '--json'], { env })).out).models).toEqual(
        [],
      )
    })

    test('a pull that was killed goes on where it was', async () => {
      hub.bytesPerSecond = 16e6
      const killed = startBitnet(['pull', REPO], { env })
      while (hub.servedBytes < size / 3) await sleep(5)
      killed.child.kill('SIGKILL')
      expect((await killed.outcome).signal).toBe('SIGKILL')
      const before = hub.servedBytes
      expect(before).toBeLessThan(size)
      hub.bytesPerSecond = undefined
      const { code, err } = await bitnet(['pull', REPO], { env })
      expect(code, err).toBe(0)
      // What was on its way, and the last piece of less than the journal's step, is lost.
      expect(hub.servedBytes).toBeLessThan(size + size / 3)
      expect(await bitnet(['cache', 'verify'], { env })).toMatchObject({ code: 0 })
    })

    test('two pulls at once fetch the model once', async () => {
      hub.bytesPerSecond = 30e6
      const both = await Promise.all([
        bitnet(['pull', REPO], { env }),
        bitnet(['pull', REPO], { env }),
      ])
      expect(both.map(({ code }) => code)).toEqual([0, 0])
      expect(both[0].out).toBe(both[1].out)
      expect(hub.servedBytes).toBe(size)
    })

    test('refusals say what to do, and exit with 1 or 2', async () => {
      const gated = await bitnet(['pull', 'some/gated'], { env })
      expect(gated).toMatchObject({ code: 1 })
      expect(gated.err).toContain(`Accept them at ${hub.endpoint}/some/gated and set HF_TOKEN`)
      const missing = await bitnet(['generate', '-p', 'a', '-m', 'some/nothing'], { env })
      expect(missing).toMatchObject({ code: 2 })
      expect(missing.err).toContain('Expected a repository some/nothing')
      const revision = await bitnet(['pull', `${REPO}@v9`], { env })
      expect(revision).toMatchObject({ code: 2 })
      expect(revision.err).toContain('"v9"')
      const offline = await bitnet(['pull', REPO], { env: { ...env, HF_HUB_OFFLINE: '1' } })
      expect(offline).toMatchObject({ code: 2 })
      expect(offline.err).toContain('HF_HUB_OFFLINE')
      const local = await bitnet(['pull', 'bitnet-ja-en-58m'], { env })
      expect(local).toMatchObject({ code: 2 })
    })

    test('models lists the aliases and what is cached of them', async () => {
      const { code, out } = await bitnet(['models', '--json'], { env })
      expect(code).toBe(0)
      const { models } = JSON.parse(out)
      expect(models).toContainEqual(
        expect.objectContaining({
          name: 'bitnet-2b',
          context: 4096,
          licence: 'MIT',
          cached: false,
        }),
      )
      expect((await bitnet(['models'], { env })).out).toContain('microsoft/bitnet-b1.58-2B-4T-gguf')
    })
  },
)
