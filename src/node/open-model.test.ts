/**
 * Opening models from disk, in folders of this test's own making.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FormatError, ModelNotFoundError } from '../errors.ts'
import { memorySink } from '../formats/byte-sink.ts'
import { writeGguf } from '../formats/gguf/index.ts'
import { writeSafetensors } from '../formats/safetensors/index.ts'
import { openFileSource } from './files/file-source.ts'
import { openModelFile } from './open-model.ts'

let root = ''

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'open-model-'))
})
afterAll(() => rm(root, { recursive: true }))

async function folder(files: Record<string, string | Uint8Array>): Promise<string> {
  const path = await mkdtemp(join(root, 'f-'))
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content)
  return path
}

async function weights(name: string): Promise<Uint8Array> {
  const sink = memorySink()
  const data = () => [Uint8Array.of(1, 2, 3, 4)]
  await writeSafetensors(sink, [{ name, dtype: 'U8', shape: [4], data }])
  return sink.bytes()
}

async function gguf(): Promise<Uint8Array> {
  const sink = memorySink()
  await writeGguf(sink, { metadata: [['k', { type: 'u32', value: 5 }]], tensors: [] })
  return sink.bytes()
}

describe('openModelFile', () => {
  test('opens a GGUF file, also in a folder and under another name', async () => {
    const path = await folder({ 'a.gguf': await gguf() })
    const other = await folder({ blob: await gguf() })
    for (const place of [join(path, 'a.gguf'), path, join(other, 'blob')]) {
      const { file, tokenizerFiles } = await openModelFile(place)
      expect(file.format === 'gguf' && file.metadata.get('k')).toBe(5)
      expect(tokenizerFiles).toEqual({})
      await file.close()
    }
  })

  test('opens a checkpoint by its folder or its file, with what lies beside', async () => {
    const path = await folder({
      'model.safetensors': await weights('w'),
      'config.json': '{"model_type":"bitnet"}',
      'tokenizer.json': '{"version":"1.0"}',
      'generation_config.json': '{"top_p":0.9}',
      'chat_template.jinja': '{{ messages }}',
      'tokenizer.model': Uint8Array.of(7),
    })
    for (const place of [path, join(path, 'model.safetensors')]) {
      const { file, tokenizerFiles } = await openModelFile(place)
      expect(file.format === 'safetensors' && file.config).toEqual({ model_type: 'bitnet' })
      expect([...file.tensors.keys()]).toEqual(['w'])
      expect(tokenizerFiles).toEqual({
        tokenizerJson: { version: '1.0' },
        generationConfig: { top_p: 0.9 },
        chatTemplate: '{{ messages }}',
        tokenizerModel: Uint8Array.of(7),
      })
      await file.close()
    }
  })

  test('joins the shards of an index', async () => {
    const path = await folder({
      'config.json': '{}',
      'one.safetensors': await weights('a'),
      'two.safetensors': await weights('b'),
      'model.safetensors.index.json': JSON.stringify({
        weight_map: { a: 'one.safetensors', b: 'two.safetensors' },
      }),
    })
    const { file } = await openModelFile(path)
    const b = file.tensors.get('b')
    expect([...file.tensors.keys()]).toEqual(['a', 'b'])
    expect(b?.source.name).toBe(join(path, 'two.safetensors'))
    expect(await b?.source.read(b.offset, 4)).toEqual(Uint8Array.of(1, 2, 3, 4))
    await file.close()
  })

  test('does not follow an index out of its folder', async () => {
    for (const name of ['../secret.safetensors', '/etc/passwd', 'a/b.safetensors', 7]) {
      const index = JSON.stringify({ weight_map: { a: name } })
      const path = await folder({ 'config.json': '{}', 'model.safetensors.index.json': index })
      await expect(openModelFile(path)).rejects.toMatchObject({ field: 'weight_map' })
    }
  })

  test('follows no index of more files than any model has', async () => {
    const shards = Array.from({ length: 1025 }, (_, i) => [`t${i}`, `${i}.safetensors`])
    const index = JSON.stringify({ weight_map: Object.fromEntries(shards) })
    const path = await folder({ 'config.json': '{}', 'model.safetensors.index.json': index })
    const refused = openModelFile(path)
    await expect(refused).rejects.toMatchObject({ field: 'weight_map' })
    await expect(refused).rejects.toThrow('got 1025')
  })

  test.each(['config.json', 'tokenizer.json', 'chat_template.jinja'])(
    'refuses a %s that is no UTF-8',
    async (name) => {
      const path = await folder({
        'model.safetensors': await weights('w'),
        'config.json': '{}',
        [name]: Uint8Array.of(0x22, 0xff, 0x22),
      })
      const refused = openModelFile(path)
      await expect(refused).rejects.toMatchObject({ code: 'FORMAT', field: name })
      await expect(refused).rejects.toThrow('UTF-8')
    },
  )

  test('refuses a tensor that is in two files', async () => {
    const weight_map = { a: '1.safetensors', b: '2.safetensors' }
    const path = await folder({
      'config.json': '{}',
      'model.safetensors.index.json': JSON.stringify({ weight_map }),
      '1.safetensors': await weights('w'),
      '2.safetensors': await weights('w'),
    })
    await expect(openModelFile(path)).rejects.toMatchObject({ code: 'FORMAT', field: 'w' })
  })

  test('says what was looked for where something is missing', async () => {
    const empty = await folder({ 'notes.txt': 'x' })
    const bare = await folder({ 'model.safetensors': await weights('w') })
    const cases: [string, string][] = [
      [join(root, 'nowhere'), 'there is nothing'],
      [empty, 'model.safetensors'],
      [bare, 'config.json'],
      [join(empty, 'notes.txt'), 'which is none'],
    ]
    for (const [path, words] of cases) {
      const error = await openModelFile(path).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ModelNotFoundError)
      expect(error).toMatchObject({ message: expect.stringContaining(words), source: path })
    }
  })

  test('names the side file that is damaged', async () => {
    const path = await folder({
      'model.safetensors': await weights('w'),
      'config.json': '{}',
      'tokenizer.json': '{"cut":',
    })
    await expect(openModelFile(path)).rejects.toMatchObject({ field: 'tokenizer.json' })
  })
})

describe('openFileSource', () => {
  test('reads any range, also several at once, and refuses what lies outside', async () => {
    const path = join(await folder({ data: Uint8Array.from({ length: 100 }, (_, i) => i) }), 'data')
    const source = await openFileSource(path)
    expect(source.size).toBe(100)
    const pieces = await Promise.all([source.read(90, 10), source.read(0, 3), source.read(100, 0)])
    expect(pieces.map((piece) => [...piece])).toEqual([
      [90, 91, 92, 93, 94, 95, 96, 97, 98, 99],
      [0, 1, 2],
      [],
    ])
    await expect(source.read(90, 11)).rejects.toBeInstanceOf(FormatError)
    await expect(source.read(-1, 1)).rejects.toBeInstanceOf(FormatError)
    await source.close()
  })

  test('refuses a folder and a missing file', async () => {
    const path = join(root, 'folder')
    await mkdir(path)
    await expect(openFileSource(path)).rejects.toBeInstanceOf(ModelNotFoundError)
    await expect(openFileSource(join(root, 'none'))).rejects.toBeInstanceOf(ModelNotFoundError)
  })
})
