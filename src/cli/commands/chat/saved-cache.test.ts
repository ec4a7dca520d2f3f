/**
 * What is computed, kept in files: by `chat` and `generate` on an engine whose answers follow from the tokens.
 */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answers, MockEngine } from '../../../../test/support/mock-engine.ts'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { mockModel } from '../../../../test/support/mock-model.ts'
import { FormatError, UsageError } from '../../../errors.ts'
import { command as generate } from '../generate/generate.ts'
import { command as chat } from './chat.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-saved-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Surroundings whose model answers by a script, and computes numbers that `salt` changes. */
function around(engine: MockEngine, input = '') {
  const mock = mockSurroundings({ input })
  return { ...mock, loadModel: async () => mockModel(engine, { defaults: { temperature: 0 } }) }
}

const script = answers('the first answer', 'the second answer', 'the third answer')
const rowsOf = (engine: MockEngine) => engine.passes.reduce((sum, pass) => sum + pass.rows, 0)

async function talk(input: string, flags = {}, engine = new MockEngine({ script })) {
  const surroundings = around(engine, input)
  expect(await chat.run(flags, surroundings)).toBe(0)
  return { engine, out: surroundings.out(), err: surroundings.err() }
}

describe('a chat', () => {
  test.each(['/save PATH --cache', '/save --cache PATH'])(
    '%s and --load go on at once',
    async (line) => {
      const path = join(folder, 'talk.bin')
      const saved = await talk(`a message of some length\n${line.replace('PATH', path)}\nb\n`)
      expect(saved.err).toMatch(/Saved 2 messages and their cache to .*talk\.bin, \d/)
      expect(saved.out).toBe('the first answer\nthe second answer\n')
      for (const flags of [{ load: path }, {}]) {
        const again = await talk(`${'load' in flags ? '' : `/load ${path}\n`}b\n`, flags)
        expect(again.err).toMatch(/Loaded 2 messages from .*talk\.bin\. 32 tokens of them need not/)
        expect(again.out).toBe('the second answer\n')
        expect(rowsOf(again.engine)).toBeLessThan(rowsOf(saved.engine))
      }
      expect(await readdir(folder)).toContain('talk.bin')
    },
  )

  test('of another model goes on with the messages, and says so in each language', async () => {
    const path = join(folder, 'other.bin')
    await talk(`a message of some length\n/save ${path} --cache\n`)
    const other = () => new MockEngine({ script, salt: 1 })
    const english = await talk('b\n', { load: path }, other())
    expect(english.err).toContain('The cache in it is not used')
    expect(english.err).toContain('computes other numbers')
    expect(english.out).toBe('the second answer\n')
    const japanese = await talk('b\n', { load: path, lang: 'ja' }, other())
    expect(japanese.err).toContain('計算し直します')
  })

  test('a damaged file ends nothing, is not lost, and is not taken for another', async () => {
    const path = join(folder, 'damaged.bin')
    await talk(`a message of some length\n/save ${path} --cache\n`)
    const bytes = await readFile(path)
    bytes[bytes.length - 1] ^= 1
    await writeFile(path, bytes)
    const { out, err } = await talk(`/load ${path}\na\n`)
    expect(err).toContain(`Not loaded: ${path}`)
    expect(out).toBe('the first answer\n')
    const japanese = await talk(`/load ${path}\na\n`, { lang: 'ja' })
    expect(japanese.err).toContain('壊れています')
    // A conversation is what may be replaced, by one with or without a cache.
    await talk(`a\n/save ${path}\n/save ${path} --cache\n/save ${path}\n`)
    expect(JSON.parse(await readFile(path, 'utf8')).messages).toHaveLength(2)
    const foreign = join(folder, 'foreign.bin')
    await writeFile(foreign, 'bitnet')
    expect((await talk(`/save ${foreign} --cache\n`)).err).toContain('is not a saved conversation')
    expect(await readFile(foreign, 'utf8')).toBe('bitnet')
  })

  test('a file that is longer than any of the model is not read', async () => {
    const path = join(folder, 'long.bin')
    await talk(`a\n/save ${path} --cache\n`)
    await truncate(path, 2 ** 40)
    expect((await talk(`/load ${path}\n`)).err).toContain('Expected at most')
    await expect(talk('a\n', { load: path })).rejects.toThrow(UsageError)
    await rm(path)
  })

  test('--load of a file that is not there ends the chat before it begins', async () => {
    await expect(talk('a\n', { load: join(folder, 'nothing') })).rejects.toThrow(
      'no such file or directory',
    )
  })
})

describe('generate --prompt-cache', () => {
  const prompt = 'a prompt that is long enough to be worth keeping for another time'
  const run = async (text: string, path: string, flags = {}, engine = new MockEngine()) => {
    const surroundings = around(engine)
    const all = { prompt: text, promptCache: path, maxTokens: 5, json: true, ...flags }
    expect(await generate.run(all, surroundings)).toBe(0)
    return JSON.parse(surroundings.out())
  }

  test('computes once what prompts have in common, with the same texts', async () => {
    const path = join(folder, 'prompt.bin')
    const first = await run(prompt, path)
    expect(first.usage.cachedTokens).toBe(0)
    const bytes = await readFile(path)
    const again = await run(prompt, path)
    expect(again.text).toBe(first.text)
    expect(again.usage.cachedTokens).toBe(64)
    expect(await readFile(path)).toEqual(bytes)
    const longer = await run(`${prompt}, and for something else again`, path)
    expect(longer.usage.cachedTokens).toBe(64)
    expect((await readFile(path)).length).toBeGreaterThan(bytes.length)
    const { results } = await run(prompt, path, { answers: 2 })
    expect(results[0].text).toBe(first.text)
  })

  test('leaves a file of another kind or model as it is', async () => {
    const path = join(folder, 'notes.txt')
    await writeFile(path, 'notes')
    await expect(run(prompt, path)).rejects.toThrow(UsageError)
    expect(await readFile(path, 'utf8')).toBe('notes')
    const other = join(folder, 'other-prompt.bin')
    await run(prompt, other)
    const bytes = await readFile(other)
    await expect(run(prompt, other, {}, new MockEngine({ salt: 1 }))).rejects.toThrow(UsageError)
    expect(await readFile(other)).toEqual(bytes)
    await truncate(other, bytes.length - 3)
    await expect(run(prompt, other)).rejects.toThrow(FormatError)
  })
})
