/** Models of several files, and files that are not what their names promise, in folders in memory. */
import { describe, expect, test } from 'vitest'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import { memorySink } from './byte-sink.ts'
import { type GgufTypedValue, joinParts, partNames, writeGguf } from './gguf/index.ts'
import { memorySource } from './memory-source.ts'
import {
  type ModelFolder,
  openGguf,
  openGgufIn,
  openModelFolder,
  openShardIn,
} from './model-folder.ts'
import { writeSafetensors } from './safetensors/index.ts'

type Files = Readonly<Record<string, string | Uint8Array>>

function folderOf(files: Files): ModelFolder & { readonly open: ReturnType<typeof counting> } {
  const bytes = new Map(
    Object.entries(files).map(([name, content]) => {
      return [name, typeof content === 'string' ? new TextEncoder().encode(content) : content]
    }),
  )
  return {
    name: 'folder',
    list: async () => [...bytes.keys()],
    pathOf: (file) => `folder/${file}`,
    open: counting(bytes),
    read: async (file) => bytes.get(file),
  }
}

/** Opens files, and counts those that are open. */
function counting(files: ReadonlyMap<string, Uint8Array>) {
  const open = async (file: string) => {
    const bytes = files.get(file)
    if (bytes === undefined) throw new Error(`there is no ${file}`)
    open.count++
    return { ...memorySource(bytes, `folder/${file}`), close: async () => void open.count-- }
  }
  open.count = 0
  return open
}

type Metadata = Record<string, GgufTypedValue>
const u16 = (value: number): GgufTypedValue => ({ type: 'u16', value })

async function gguf(metadata: Metadata, names: readonly string[]): Promise<Uint8Array> {
  const sink = memorySink()
  const tensors = names.map((name) => {
    const data = () => [Uint8Array.of(name.charCodeAt(0), 0, 0, 0)]
    return { name, type: 'F32' as const, shape: [1], byteLength: 4, data }
  })
  await writeGguf(sink, { metadata: Object.entries(metadata), tensors })
  return sink.bytes()
}

/** A model in parts with so many tensors each. */
async function split(counts: readonly number[], changes: readonly Metadata[] = []) {
  const total = counts.reduce((a, b) => a + b, 0)
  const first: Metadata = {
    'general.architecture': { type: 'string', value: 'x' },
    'split.tensors.count': { type: 'i32', value: total },
  }
  const pad = (n: number) => String(n).padStart(5, '0')
  const files: Record<string, Uint8Array> = {}
  let at = 0
  for (const [i, count] of counts.entries()) {
    const names = Array.from(
      { length: count },
      () => `${String.fromCharCode(65 + (at % 26))}${at++}`,
    )
    const own = { 'split.no': u16(i), 'split.count': u16(counts.length), ...changes[i] }
    const name = `m-${pad(i + 1)}-of-${pad(counts.length)}.gguf`
    files[name] = await gguf(i === 0 ? { ...first, ...own } : own, names)
  }
  return { files, total }
}

test.each([['adapter_model.safetensors'], ['model.safetensors'], ['m.gguf']])(
  'an adapter beside %s is no whole model',
  async (weights) => {
    const folder = folderOf({ 'adapter_config.json': '{}', [weights]: '' })
    await expect(openModelFolder(folder)).rejects.toThrow('got an adapter: adapter_config.json')
    expect(folder.open.count).toBe(0)
  },
)

describe('a GGUF model in parts', () => {
  test('is opened whole from each of its parts and from its folder, however it was split', async () => {
    const seeded = new Seeded(5)
    for (let i = 0; i < 40; i++) {
      const parts = 2 + seeded.below(5)
      // The first part may have the metadata alone.
      const { files, total } = await split(Array.from({ length: parts }, () => seeded.below(4)))
      const folder = folderOf(files)
      const name = Object.keys(files)[seeded.below(parts)]
      for (const open of [
        () => openGgufIn(folder, name),
        async () => (await openModelFolder(folder)).file,
      ]) {
        const file = await open()
        expect(file).toMatchObject({ format: 'gguf', name: `folder/${Object.keys(files)[0]}` })
        expect(file.tensors.size).toBe(total)
        for (const { name, source, offset } of file.tensors.values()) {
          expect((await source.read(offset, 1))[0]).toBe(name.charCodeAt(0))
        }
        expect(file.format === 'gguf' && file.metadata.get('general.architecture')).toBe('x')
        await file.close()
        expect(folder.open.count).toBe(0)
      }
    }
  })

  const refused = async (files: Record<string, Uint8Array>, message: string) => {
    const folder = folderOf(files)
    await expect(openGgufIn(folder, 'm-00001-of-00003.gguf')).rejects.toThrow(message)
    expect(folder.open.count).toBe(0)
  }

  test.each<[string, Metadata[], string]>([
    ['two of one number', [{}, { 'split.no': u16(2) }], 'Expected part 2 of 3, got part 3'],
    ['one of another model', [{}, {}, { 'split.count': u16(4) }], 'got part 3 of 4'],
    ['too few tensors', [{ 'split.tensors.count': u16(9) }], 'Expected 9 tensors'],
  ])('that has %s is refused, and nothing stays open', async (_, changes, message) => {
    await refused((await split([1, 2, 1], changes)).files, message)
  })

  test('that lacks one, or has it under another name, is refused by the name it should have', async () => {
    const { files } = await split([1, 2, 1])
    const { 'm-00002-of-00003.gguf': second, ...others } = files
    await refused(others, 'found no m-00002-of-00003.gguf')
    await refused({ ...others, 'm-2.gguf': second }, 'found no m-00002-of-00003.gguf')
  })

  test('with one tensor in two parts is refused', async () => {
    const own = { 'split.count': u16(2) }
    const parts = [
      await gguf({ ...own, 'split.no': u16(0) }, ['A']),
      await gguf({ ...own, 'split.no': u16(1) }, ['A']),
    ]
    const folder = folderOf({
      'm-00001-of-00002.gguf': parts[0],
      'm-00002-of-00002.gguf': parts[1],
    })
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'FORMAT', field: 'A' })
  })

  test('says what to do where its name or its neighbours are not known', async () => {
    const { files } = await split([1, 1])
    const part = files['m-00002-of-00002.gguf']
    await expect(openGgufIn(folderOf({ 'x.gguf': part }), 'x.gguf')).rejects.toThrow(
      'got part 2 of 2',
    )
    await expect(openGguf(memorySource(part))).rejects.toMatchObject({ field: 'split.count' })
  })

  test('names its parts as they are named', () => {
    const three = ['m-00001-of-00003.gguf', 'm-00002-of-00003.gguf', 'm-00003-of-00003.gguf']
    for (const name of three) expect(partNames(name)).toEqual(three)
    expect(partNames('M-1-of-2.GGUF')).toEqual(['M-1-of-2.GGUF', 'M-2-of-2.GGUF'])
    const again = 'a-00001-of-00002-0000'
    expect(partNames(`${again}2-of-00002.gguf`)?.[0]).toBe(`${again}1-of-00002.gguf`)
  })

  test.each([
    'm.gguf',
    'm-00001-of-00001.gguf',
    'm-00000-of-00002.gguf',
    'm-00003-of-00002.gguf',
    'm-00001-of-99999.gguf',
  ])('%s is no part', (name) => expect(partNames(name)).toBeUndefined())

  test('of one file is that file', async () => {
    const whole = await openGguf(memorySource(await gguf({ 'split.count': u16(1) }, ['A'])))
    expect(joinParts([whole]).tensors).toEqual(whole.tensors)
  })
})

async function weights(...names: string[]): Promise<Uint8Array> {
  const sink = memorySink()
  const tensors = names.map((name) => ({
    name: name.replace(/=.*/, ''),
    dtype: (name.endsWith('!') ? 'I64' : 'U8') as 'U8',
    shape: [name.endsWith('!') ? 1 : 8],
    data: () => [new Uint8Array(8).fill(name.charCodeAt(name.length - 1))],
  }))
  await writeSafetensors(sink, tensors)
  return sink.bytes()
}

const indexOf = (weight_map: Record<string, string>): string => JSON.stringify({ weight_map })
const [ONE, TWO] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']

describe('a checkpoint in shards', () => {
  test('has each tensor from where the index says, whatever older copies there are', async () => {
    const folder = folderOf({
      'config.json': '{}',
      'model.safetensors.index.json': indexOf({ a: TWO, b: ONE }),
      [ONE]: await weights('a=1', 'b=2'),
      [TWO]: await weights('a=3', 'b=4'),
    })
    for (const open of [() => openModelFolder(folder), () => openShardIn(folder, TWO)]) {
      const { file } = await open()
      const values = [...file.tensors.values()].map(async ({ name, source, offset }) => {
        return `${name}${String.fromCharCode((await source.read(offset, 1))[0])}`
      })
      expect((await Promise.all(values)).sort()).toEqual(['a3', 'b2'])
      await file.close()
    }
    expect(folder.open.count).toBe(0)
  })

  test('keeps tensors that cannot be read apart, of all shards', async () => {
    const folder = folderOf({
      'config.json': '{}',
      'model.safetensors.index.json': indexOf({ a: ONE, b: TWO, c: TWO }),
      [ONE]: await weights('a=!'),
      [TWO]: await weights('b=2', 'c=!'),
    })
    const { file } = await openModelFolder(folder)
    expect([...file.tensors.keys()]).toEqual(['b'])
    expect([...(file.unread?.keys() ?? [])]).toEqual(['a', 'c'])
  })

  test('without an index has the files that the name of any of them tells of', async () => {
    const files = { 'config.json': '{}', [ONE]: await weights('a=1'), [TWO]: await weights('b=2') }
    const folder = folderOf(files)
    for (const open of [() => openModelFolder(folder), () => openShardIn(folder, TWO)]) {
      const { file } = await open()
      expect([...file.tensors.keys()]).toEqual(['a', 'b'])
      await file.close()
    }
    const { [ONE]: _, ...rest } = files
    await expect(openModelFolder(folderOf(rest))).rejects.toThrow(`found no ${ONE}`)
    await expect(openShardIn(folderOf(rest), TWO)).rejects.toThrow(`found no ${ONE}`)
  })

  test('that lacks a tensor of its index is refused by its name', async () => {
    const folder = folderOf({
      'config.json': '{}',
      'model.safetensors.index.json': indexOf({ a: ONE, b: TWO }),
      [ONE]: await weights('a=1', 'b=1'),
      [TWO]: await weights('c=2'),
    })
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'FORMAT', field: 'b' })
    expect(folder.open.count).toBe(0)
  })
})

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`
const PAGE = '<!DOCTYPE html><html><body>Not found</body></html>'
const SIDE = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'generation_config.json',
  'tokenizer.model',
  'chat_template.jinja',
]

describe('a file that is something else', () => {
  test.each(
    ['model.safetensors', ...SIDE, 'm.gguf'].flatMap(
      (name) =>
        [
          [name, 'a Git LFS pointer', POINTER, /Git LFS pointer: the file itself, 12345 bytes/],
          [name, 'a web page', PAGE, /web page/],
          [name, 'compressed', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3), /gzip/],
        ] as const,
    ),
  )('%s is told to be %s', async (name, _, content, message) => {
    const healthy =
      name === 'm.gguf' ? {} : { 'config.json': '{}', 'model.safetensors': await weights('a=1') }
    const opened = openModelFolder(folderOf({ ...healthy, [name]: content }))
    await expect(opened).rejects.toMatchObject({ code: 'FORMAT' })
    await expect(opened).rejects.toThrow(message)
  })

  test('of the other format is told to be that', async () => {
    const [tensors, model] = [await weights('a=1'), await gguf({}, ['A'])]
    await expect(openModelFolder(folderOf({ 'm.gguf': tensors }))).rejects.toThrow(
      'a safetensors file',
    )
    const named = folderOf({ 'config.json': '{}', 'model.safetensors': model })
    await expect(openModelFolder(named)).rejects.toThrow('a GGUF file')
  })

  test('config.json may hold what Python writes', async () => {
    const folder = folderOf({
      'config.json': '{"a": [Infinity, NaN]}',
      'model.safetensors': await weights('a=1'),
    })
    const { file } = await openModelFolder(folder)
    expect(file.format === 'safetensors' && file.config).toEqual({ a: [Infinity, Number.NaN] })
  })

  test.each(['config.json', 'tokenizer.json'])(
    '%s of endless empty objects is not parsed',
    async (name) => {
      const many = `{"a":[${'{},'.repeat(4 << 20)}{}]}`
      const folder = folderOf({
        'config.json': '{}',
        'model.safetensors': await weights('a=1'),
        [name]: many,
      })
      await expect(openModelFolder(folder)).rejects.toThrow(/at most \d+ values and names/)
    },
  )
})
