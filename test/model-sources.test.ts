/** What loadModel takes for a model: the same kinds in Node and, but for paths, in browsers. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { loadModel as loadInBrowser } from '../src/browser.ts'
import {
  convertFile,
  FormatError,
  loadModel,
  ModelNotFoundError,
  UsageError,
} from '../src/index.ts'
import { FakeHub } from './support/fake-hub.ts'
import { tinyModel } from './support/fixtures.ts'

const OPTIONS = { backend: 'reference' } as const
const PROMPT = '62 456 217'
const HUB = 'https://huggingface.co'

let folder = ''
let path = ''
let bytes: Uint8Array<ArrayBuffer>
let expected: readonly number[]
let hub: FakeHub

/** The tokens of whatever was loaded, which is disposed of. */
async function tokensOf(loading: ReturnType<typeof loadModel>): Promise<readonly number[]> {
  await using model = await loading
  return (await model.generate(PROMPT, { maxTokens: 4, temperature: 0 }).result).tokenIds
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sources-'))
  // A name with characters that addresses escape.
  path = join(folder, 'tiny model é.gguf')
  await convertFile(tinyModel('bitnet-packed'), path)
  bytes = new Uint8Array(readFileSync(path))
  expected = await tokensOf(loadModel(path, OPTIONS))
  hub = await FakeHub.start()
  hub.repos.set('some/model', { files: { 'ggml-model-i2_s.gguf': bytes } })
})
afterAll(async () => {
  await hub.close()
  await rm(folder, { recursive: true, force: true })
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.unstubAllEnvs()
})

/** Bytes in the middle of other memory. */
function window(): Uint8Array<ArrayBuffer> {
  const around = new Uint8Array(bytes.length + 20)
  around.set(bytes, 7)
  return around.subarray(7, 7 + bytes.length)
}

const GIVEN: Readonly<Record<string, () => unknown>> = {
  'bytes (Uint8Array)': () => bytes,
  'a part of other memory': window,
  'a Buffer': () => Buffer.from(bytes),
  'an ArrayBuffer': () => bytes.buffer,
  'a DataView': () => new DataView(bytes.buffer),
  'bytes of another realm': () => runInNewContext('Uint8Array.from(bytes)', { bytes }),
  'a Blob': () => new Blob([bytes]),
  'a File': () => new File([bytes], 'tiny.gguf'),
  'a blob: URL': () => new URL(URL.createObjectURL(new Blob([bytes]))),
  'an http: URL': () => new URL(hub.fileUrl('some/model', 'ggml-model-i2_s.gguf')),
  'an http: address': () => hub.fileUrl('some/model', 'ggml-model-i2_s.gguf'),
}

describe.each([
  ['in Node', loadModel],
  ['in a browser', loadInBrowser],
])('%s', (_place, load) => {
  test.each(Object.entries(GIVEN))('%s is a model', async (_what, make) => {
    vi.stubEnv('HF_HOME', folder)
    expect(await tokensOf(load(make() as Uint8Array, OPTIONS))).toEqual(expected)
  })

  test.each([
    ['', 'an empty text'],
    [null, 'nothing'],
    [5, 'a number'],
    [{ path: 'a.gguf' }, 'Object'],
    [Promise.resolve('a.gguf'), 'Promise'],
    [['a.gguf'], 'Array'],
    [() => 'a.gguf', 'a function'],
  ])('%o is none', async (source, got) => {
    const error = await load(source as string).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(UsageError)
    expect(String(error)).toContain(
      `Expected a model as a path, a name, a URL, bytes, a File or a Blob, got ${got}.`,
    )
  })

  test('bytes of something else are refused', async () => {
    for (const wrong of [new Uint8Array(0), new TextEncoder().encode('{"model": 1}')]) {
      await expect(load(wrong, OPTIONS)).rejects.toBeInstanceOf(FormatError)
      await expect(load(new Blob([wrong]), OPTIONS)).rejects.toBeInstanceOf(FormatError)
    }
  })
})

describe('in Node', () => {
  test('a file: URL or address is a path, also of a folder', async () => {
    const url = pathToFileURL(path)
    expect(url.href).toContain('%20')
    expect(await tokensOf(loadModel(url, OPTIONS))).toEqual(expected)
    expect(await tokensOf(loadModel(url.href, OPTIONS))).toEqual(expected)
    const checkpoint = pathToFileURL(tinyModel('bitnet-packed'))
    expect(await tokensOf(loadModel(checkpoint, OPTIONS))).toEqual(expected)
    await expect(loadModel(new URL('gone.gguf', url))).rejects.toBeInstanceOf(ModelNotFoundError)
    const elsewhere = loadModel('file://elsewhere/a.gguf')
    await expect(elsewhere).rejects.toThrow('Expected the address of a file here, got "file://els')
  })

  test('what fetch does not know is refused', async () => {
    const loading = loadModel(new URL('gopher://example.org/a.gguf'))
    await expect(loading).rejects.toBeInstanceOf(ModelNotFoundError)
  })

  test('bytes have no image, whatever their name', async () => {
    await using model = await loadModel(new File([bytes], path), OPTIONS)
    expect(model.memory.image).toBeUndefined()
    expect(model.imageKept).toBeUndefined()
  })
})

describe('in a browser', () => {
  /** A page whose hub is the test's own. */
  function openPage(): void {
    const fetchNow = fetch
    vi.stubGlobal('location', new URL('/pages/', hub.endpoint))
    vi.stubGlobal('fetch', (url: URL, init: RequestInit) =>
      fetchNow(url.href.replace(HUB, hub.endpoint), init),
    )
  }

  test('without a model it says what to give', async () => {
    const load: () => Promise<unknown> = loadInBrowser as never
    await expect(load()).rejects.toThrow(UsageError)
    await expect(load()).rejects.toThrow(
      /got nothing\. No model comes along with a page: give the ad/,
    )
  })

  test.each(['some/model', 'hf:some/model', 'hf:some/model:ggml-model-i2_s.gguf@main', HUB])(
    '%s is a model of the hub',
    async (name) => {
      openPage()
      const source = name === HUB ? `${HUB}/some/model` : name
      expect(await tokensOf(loadInBrowser(source, OPTIONS))).toEqual(expected)
    },
  )

  test('a checkpoint of the hub loads with what lies beside it', async () => {
    const files = ['config.json', 'model.safetensors'].map((name) => {
      return [name, new Uint8Array(readFileSync(join(tinyModel('bitnet-packed'), name)))]
    })
    hub.repos.set('some/checkpoint', { files: Object.fromEntries(files) })
    openPage()
    expect(await tokensOf(loadInBrowser('some/checkpoint', OPTIONS))).toEqual(expected)
  })

  test('other texts are addresses, relative to the page', async () => {
    openPage()
    const at = '../some/model/resolve/main/ggml-model-i2_s.gguf'
    expect(await tokensOf(loadInBrowser(at, OPTIONS))).toEqual(expected)
    const error = await loadInBrowser('./some/model').catch((e: unknown) => e)
    expect(error).toBeInstanceOf(ModelNotFoundError)
    expect(String(error)).toContain(`${hub.endpoint}/pages/some/model`)
    expect(String(error)).toContain('"./owner/name" is an address')
  })

  test('a backend that browsers lack is refused before anything is read', async () => {
    const loading = loadInBrowser('nowhere.gguf', { backend: 'native' })
    await expect(loading).rejects.toThrow(/to be auto, .*wasm or reference, got "native"/)
  })
})
