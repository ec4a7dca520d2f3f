/** Files and folders that appear when they are whole, beside whatever else lies there. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCheckpointFolder, openFileSink } from './sinks.ts'

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sinks-'))
})
afterEach(() => rm(root, { recursive: true }))

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (...path: string[]) => readFile(join(root, ...path), 'utf8')

async function writeFolder(path: string, files: Readonly<Record<string, string>>) {
  const sink = await openCheckpointFolder(path)
  for (const [name, content] of Object.entries(files)) {
    await (await sink.file(name)).write(bytes(content))
  }
  return sink
}

test('files of similar names are somebody else\u2019s', async () => {
  await mkdir(join(root, 'out.partial'))
  await writeFile(join(root, 'out.partial', 'thesis.txt'), 'mine')
  await writeFile(join(root, 'o.gguf.partial'), 'mine')
  const folder = await writeFolder(join(root, 'out'), { 'config.json': '{}' })
  const file = await openFileSink(join(root, 'o.gguf'))
  await file.write(bytes('GGUF'))
  await Promise.all([folder.finish(), file.finish()])
  expect(await text('out.partial', 'thesis.txt')).toBe('mine')
  expect(await text('o.gguf.partial')).toBe('mine')
  expect(await text('o.gguf')).toBe('GGUF')
  expect((await readdir(root)).sort()).toEqual(['o.gguf', 'o.gguf.partial', 'out', 'out.partial'])
})

test('two files to one place: the one that ends last is there, whole', async () => {
  const path = join(root, 'o.gguf')
  const [first, second] = [await openFileSink(path), await openFileSink(path)]
  await Promise.all([first.write(bytes('first')), second.write(bytes('2'))])
  await second.finish()
  expect(await text('o.gguf')).toBe('2')
  await first.finish()
  expect(await text('o.gguf')).toBe('first')
  expect(await readdir(root)).toEqual(['o.gguf'])
})

test.each([false, true])(
  'two folders to one place, there before: %s; one of them is there, whole',
  async (isThere) => {
    const path = join(root, 'out')
    if (isThere) {
      await mkdir(path)
      await writeFile(join(path, 'thesis.txt'), 'mine')
      await writeFile(join(path, 'model-00001-of-00009.safetensors'), 'old')
    }
    const names = ['config.json', 'model.safetensors', 'tokenizer.json']
    const sinks = await Promise.all(
      ['a', 'b'].map((one) =>
        writeFolder(path, Object.fromEntries(names.map((name) => [name, one]))),
      ),
    )
    await Promise.all(sinks.map((sink) => sink.finish()))
    const found = await Promise.all(names.map((name) => text('out', name)))
    expect(['aaa', 'bbb']).toContain(found.join(''))
    const kept = isThere ? ['thesis.txt'] : []
    expect((await readdir(path)).sort()).toEqual([...names, ...kept].sort())
    expect(await readdir(root)).toEqual(['out'])
  },
)

test('what is discarded leaves everything as it was', async () => {
  const path = join(root, 'out')
  await mkdir(path)
  await writeFile(join(path, 'model.safetensors'), 'old')
  await writeFile(join(root, 'o.gguf'), 'old')
  const file = await openFileSink(join(root, 'o.gguf'))
  await file.write(bytes('new'))
  const folder = await writeFolder(path, { 'model.safetensors': 'new' })
  await Promise.all([file.discard(), folder.discard()])
  expect(await text('o.gguf')).toBe('old')
  expect(await text('out', 'model.safetensors')).toBe('old')
  expect([...(await readdir(root)), ...(await readdir(path))].sort()).toEqual([
    ...['model.safetensors', 'o.gguf', 'out'],
  ])
})

test('a link stays one, and a file keeps its rights', async () => {
  await writeFile(join(root, 'real.gguf'), 'old', { mode: 0o600 })
  await symlink('real.gguf', join(root, 'link.gguf'))
  const file = await openFileSink(join(root, 'link.gguf'))
  await file.write(bytes('new'))
  await file.finish()
  expect(await text('real.gguf')).toBe('new')
  expect((await stat(join(root, 'real.gguf'))).mode & 0o777).toBe(0o600)
  expect((await readdir(root)).sort()).toEqual(['link.gguf', 'real.gguf'])
})

test('nothing but a file is replaced by a file, and no folder in a folder', async () => {
  await mkdir(join(root, 'o.gguf'))
  await expect(openFileSink(join(root, 'o.gguf'))).rejects.toThrow('got something else')
  await mkdir(join(root, 'out', 'config.json'), { recursive: true })
  const folder = await writeFolder(join(root, 'out'), { 'config.json': '{}' })
  await expect(folder.finish()).rejects.toThrow('got a folder')
  await folder.discard()
  expect(await readdir(join(root, 'out'))).toEqual(['config.json'])
})
