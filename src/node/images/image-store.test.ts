/**
 * Packed images on disk: that they give the same weights, and that nothing else is ever trusted. The
 * model is the embedded one, with limits that let it have an image.
 */
import { createHash } from 'node:crypto'
import {
  copyFile,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Backend } from '../../backends/backend.ts'
import { openNativeBackend } from '../../backends/native/native-backend.ts'
import { uploadedFiles } from '../../backends/native/uploaded-files.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { readConfig } from '../../model/config/read-config.ts'
import {
  type LoadedWeights,
  loadWeights,
  type WeightOptions,
} from '../../model/weights/load-weights.ts'
import { describeWeights } from '../../model/weights/weight-description.ts'
import type { ImageReport } from '../../model/weights/weight-images.ts'
import { openModelFile } from '../open-model.ts'
import { defaultModelPath } from '../resolve-model.ts'
import { IMAGE_VERSION } from './image-file.ts'
import { listImages, removeImages } from './image-folder.ts'
import { type ImageOptions, verifyImages, weightImages } from './image-store.ts'

let root = ''
let folder = ''
let model = ''

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'images-'))
  folder = join(root, 'images')
  model = join(root, 'model.gguf')
  await copyFile(defaultModelPath(), model)
})
afterEach(() => rm(root, { recursive: true }))

interface Loaded {
  readonly image: ImageReport
  readonly bytes: readonly Buffer[]
  readonly tree: unknown
}

/** Loads, copies what was loaded and frees it. */
async function load(
  weights: WeightOptions = {},
  images: ImageOptions = {},
  backend: Backend = openNativeBackend({ threads: 2 }),
  configOf: typeof readConfig = readConfig,
): Promise<Loaded> {
  const { file } = await openModelFile(model)
  try {
    const config = configOf(file)
    const store = weightImages({ folder, minLoadMs: 0, minBytes: 0, ...images })
    if (store === undefined) throw new Error('Images are turned off in the environment.')
    const loadNormally = () => loadWeights(backend, file, config, weights)
    const loaded = await store.load({ backend, file, config, options: weights }, loadNormally)
    const image = await loaded.kept
    const contents = await contentsOf(backend, loaded.weights)
    loaded.weights.dispose()
    expect(backend.allocatedBytes).toBe(0)
    return { image, ...contents }
  } finally {
    await file.close()
    backend.dispose()
  }
}

async function contentsOf(backend: Backend, weights: LoadedWeights) {
  const { tree, buffers } = describeWeights(weights)
  const bytes: Buffer[] = []
  for (const { buffer } of buffers) {
    bytes.push(Buffer.from(await backend.read(buffer)))
  }
  return { tree, bytes }
}

function sameBytes(a: Loaded, b: Loaded): boolean {
  return (
    a.bytes.length === b.bytes.length &&
    a.bytes.every((bytes, i) => Buffer.compare(bytes, b.bytes[i]) === 0)
  )
}

async function onlyImage(): Promise<string> {
  const names = await readdir(folder)
  expect(names).toHaveLength(1)
  return join(folder, names[0])
}

async function flipBit(path: string, position: number): Promise<void> {
  const handle = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, position)
  byte[0] ^= 0x10
  await handle.write(byte, 0, 1, position)
  await handle.close()
}

describe('a packed image', () => {
  test.each([{}, { head: 'int4', weights: 'base3' }] as const)(
    'gives the weights of the file, bit for bit, with %j',
    async (options) => {
      const first = await load(options)
      const second = await load(options)
      expect(first.image.state).toBe('written')
      expect(second.image).toMatchObject({ state: 'mapped', path: await onlyImage() })
      expect(second.tree).toEqual(first.tree)
      expect(sameBytes(first, second)).toBe(true)
    },
  )

  test('is copied to a backend with memory of its own, to the same bytes', async () => {
    const own = (): Backend => {
      const backend: Backend = createReferenceBackend()
      return Object.assign(backend, { files: uploadedFiles(backend) })
    }
    const first = await load({}, {}, own())
    expect(first.image.state).toBe('written')
    const second = await load({}, {}, own())
    expect(second.image).toMatchObject({ state: 'mapped', path: first.image.path })
    expect(sameBytes(first, second)).toBe(true)
    await flipBit(await onlyImage(), 100_000)
    const third = await load({}, {}, own())
    expect(third.image.reason).toMatch(/damaged/)
    expect(sameBytes(first, third)).toBe(true)
    // Where matrices are cut there is none.
    const small = Object.assign(createReferenceBackend(), { largestOperand: 2 ** 27 })
    expect(uploadedFiles(small)).toBeUndefined()
  })

  test('is another one for each choice of precision', async () => {
    await load({ head: 'f16' })
    expect((await load({ head: 'int8' })).image.state).toBe('written')
    expect((await load({ head: 'f16' })).image.state).toBe('mapped')
    expect((await listImages(folder)).map(({ settings }) => settings)).toEqual([
      expect.stringContaining('head f16'),
      expect.stringContaining('head int8'),
    ])
  })

  test('is the same in whatever order the fields of the configuration were set', async () => {
    await load()
    const backwards: typeof readConfig = (file) => {
      const fields = Object.entries(readConfig(file)).reverse()
      return Object.fromEntries(fields) as ReturnType<typeof readConfig>
    }
    const again = await load({}, {}, openNativeBackend({ threads: 2 }), backwards)
    expect(again.image.state).toBe('mapped')
  })

  test('is not used, and made again, when the model file was written to', async () => {
    const before = await load()
    const older = await onlyImage()
    await writeFile(model, await readFile(model))
    const { image } = await load()
    expect(image).toMatchObject({ state: 'written', reason: expect.stringContaining('changed') })
    // Whoever has mapped the older one keeps it as it was: what is new has the name of its content.
    expect(image.path).toBe(await onlyImage())
    expect(image.path).not.toBe(older)
    expect(sameBytes(before, await load())).toBe(true)
    expect((await listImages(folder)).length).toBe(1)
  })

  test('is not used, and made again, when a bit of it is flipped anywhere', async () => {
    const whole = await load()
    const size = (await listImages(folder))[0].byteLength
    // Mark, checksum, version, lengths, manifest, weights and the zeros at the end.
    for (const position of [0, 9, 16, 21, 25, 70, 5000, Math.floor(size / 2), size - 1]) {
      await flipBit(await onlyImage(), position)
      const again = await load()
      expect(again.image, `bit at ${position}`).toMatchObject({
        state: 'written',
        reason: expect.stringContaining(position === 9 ? 'checksum' : ''),
      })
      expect(sameBytes(whole, again)).toBe(true)
      expect((await load()).image.state).toBe('mapped')
    }
  })

  test('is not used, and made again, when it is cut short', async () => {
    await load()
    const { byteLength } = (await listImages(folder))[0]
    for (const length of [0, 15, 63, 100, byteLength - 64]) {
      await truncate(await onlyImage(), length)
      const { image } = await load()
      expect(image).toMatchObject({ state: 'written', reason: expect.any(String) })
    }
    expect((await load()).image.state).toBe('mapped')
  })

  test('comes in spite of what a writer that was killed has left', async () => {
    await load()
    const path = await onlyImage()
    await rm(path)
    // The highest process number there can be, and one more: no process has it.
    const partial = `${path}.partial-4194305-0`
    await writeFile(partial, 'bitnetim')
    expect((await load()).image.state).toBe('written')
    expect((await load()).image.state).toBe('mapped')
    expect(await removeImages(undefined, folder)).toBeGreaterThan(8)
    expect(await readdir(folder)).toEqual([])
  })

  test('is left to the process that is writing it', async () => {
    await load()
    const path = await onlyImage()
    await rm(path)
    await writeFile(`${path}.partial-${process.pid}-0`, 'bitnetim')
    const { image } = await load()
    expect(image).toMatchObject({ state: 'none', reason: expect.stringContaining('writing') })
  })

  test('is whole when several loads write it at once', async () => {
    const loads = await Promise.all([load(), load(), load()])
    expect(loads.some(({ image }) => image.state === 'written')).toBe(true)
    expect(loads.every((other) => sameBytes(loads[0], other))).toBe(true)
    expect((await load()).image.state).toBe('mapped')
    await onlyImage()
  })

  test('makes the image that was not used for longest go where all exceed the limit', async () => {
    await load({ head: 'f16' })
    await load({ head: 'int8' })
    await load({ head: 'f16' })
    const bytes = (await listImages(folder)).reduce((sum, entry) => sum + entry.byteLength, 0)
    process.env['BITNET_IMAGE_LIMIT'] = String((bytes + 1e6) / 1e9)
    try {
      await load({ head: 'int4' })
    } finally {
      delete process.env['BITNET_IMAGE_LIMIT']
    }
    const settings = (await listImages(folder)).map((entry) => entry.settings)
    expect(settings.some((text) => text?.includes('f16'))).toBe(true)
    expect(settings.some((text) => text?.includes('int8'))).toBe(false)
  })

  test('is not made of models that load quickly without, nor on backends that do not map', async () => {
    expect((await load({}, { minBytes: 1e9 })).image.state).toBe('none')
    const { image } = await load({}, {}, createReferenceBackend())
    expect(image).toMatchObject({ state: 'none', reason: expect.stringContaining('reference') })
    expect(await listImages(folder)).toEqual([])
  })
})

test('verifyImages tells whole images from damaged ones', async () => {
  await load({ head: 'f16' })
  await load({ head: 'int8' })
  const [newest, older] = await listImages(folder)
  await flipBit(older.path, older.byteLength - 1000)
  const verdicts = await verifyImages(folder)
  const problems = new Map(verdicts.map(({ path, problem }) => [path, problem]))
  expect(problems.get(newest.path)).toBeUndefined()
  expect(problems.get(older.path)).toContain('damaged')
})

test('another layout, or another description of weights, has another version', async () => {
  const hash = createHash('sha256')
  const { file } = await openModelFile(model)
  const backend = openNativeBackend({ threads: 2 })
  const options = [
    { head: 'f16', weights: '2bit', sparse: 'off' },
    { head: 'int8', weights: '2bit', sparse: 'off' },
    { head: 'int4', weights: 'base3', sparse: 'off' },
    { head: 'int4', weights: 'base3', sparse: 'on' },
  ] as const
  for (const choice of options) {
    const weights = await loadWeights(backend, file, readConfig(file), choice)
    const { tree, bytes } = await contentsOf(backend, weights)
    weights.dispose()
    hash.update(JSON.stringify(tree))
    for (const part of bytes) hash.update(part)
  }
  await file.close()
  backend.dispose()
  // Where the digest is another one: raise the version, and write both here. An image of the old layout
  // would be taken for one of the new.
  expect({ version: IMAGE_VERSION, layout: hash.digest('hex').slice(0, 16) }).toEqual({
    version: 4,
    layout: '8baaf1e5888caa76',
  })
})
