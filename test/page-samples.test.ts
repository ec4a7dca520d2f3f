/**
 * What pages show of the program's output, and the figures that they name of it, are what the program
 * gives: of the embedded model, of errors, of the examples of the Japanese guide, of the source's folders.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHAT_TEXTS } from '../src/cli/commands/chat/chat-texts.ts'
import { formatBytes, formatCount } from '../src/cli/console/quantities.ts'
import { findAlias } from '../src/hub/aliases.ts'
import { absmaxQuantize, absmeanQuantize, type LanguageModel, loadModel } from '../src/index.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { defaultModelPath } from '../src/node/resolve-model.ts'
import { bitnet, buildProgram, hasEmbeddedModel, ROOT, start } from './support/built-program.ts'

const page = (name: string): string => readFileSync(join(ROOT, name), 'utf8')

describe.skipIf(!hasEmbeddedModel())('the embedded model', () => {
  let model: LanguageModel
  let parameters: number
  let ternary: number
  beforeAll(async () => {
    model = await loadModel()
    const { file } = await openModelFile(defaultModelPath())
    const sizes = [...file.tensors.values()].map(({ shape, type }) => ({
      count: shape.reduce((product, size) => product * size, 1),
      isTernary: type === 'I2_S',
    }))
    const sum = (some: typeof sizes) => some.reduce((total, { count }) => total + count, 0)
    parameters = sum(sizes)
    ternary = sum(sizes.filter(({ isTernary }) => isTernary))
    await file.close()
    return () => model.dispose()
  })

  test('has the size, the shape and the memory of its card', () => {
    const card = page('models/README.md')
    const { config, memory, tokenizer } = model
    const fact = (name: string) => new RegExp(`^\\| ${name} \\| (.*) \\|$`, 'm').exec(card)?.[1]
    const rest = parameters - ternary
    expect(fact('parameters')).toBe(
      `${formatCount(parameters)}: ${formatCount(ternary)} ternary (I2_S, 2 bits), ` +
        `${formatCount(rest)} embedding and norms`,
    )
    expect(fact('shape')).toContain(
      `${config.nLayers} layers, dim ${config.dim}, feed-forward ` +
        `${config.ffnDim.toLocaleString('en-US')} (squared ReLU), ${config.nHeads} heads of ` +
        `${config.headDim}, ${config.nKvHeads} for keys and values`,
    )
    expect(fact('context')).toBe(`${config.contextLength.toLocaleString('en-US')} tokens`)
    expect(fact('vocabulary')).toMatch(`${tokenizer.vocabSize.toLocaleString('en-US')},`)
    const weights = Math.round((memory.ternaryBytes + memory.denseBytes) / 1e6)
    expect(fact('memory')).toBe(
      `${weights} MB of weights, ${formatBytes(memory.cacheBytesPerToken)} a token of f16 KV cache`,
    )
    const bytes = statSync(defaultModelPath()).size
    expect(card).toContain(`\`bitnet-ja-en-58m.gguf\`, ${formatBytes(bytes)};`)
    for (const texts of Object.values(CHAT_TEXTS)) {
      expect(texts.embedded('x')).toContain(`${Math.round(bytes / 1e6)} MB`)
    }
  })

  test('has the parameters that the pages and the chat name', () => {
    const [english, japanese] = [
      formatCount(parameters),
      (10 * Math.round(parameters / 1e5)).toLocaleString('en-US'),
    ]
    expect(page('README.md')).toContain(`${english} parameters`)
    expect(page('README.ja.md')).toContain(`パラメーター数${japanese}万`)
    expect(CHAT_TEXTS.en.embedded('x')).toContain(`${english} parameters`)
    expect(CHAT_TEXTS.ja.embedded('x')).toContain(`${japanese}万パラメーター`)
  })

  test('gives the probabilities that docs/command-line.md shows', async () => {
    const text = page('docs/command-line.md')
    const shown = /^bitnet generate "(.*?)" -n (\d+) --temperature 0 --logprobs (\d+)$/m.exec(text)
    const entry = /^\{ "id": (\d+), "token": "(.*?)", "logprob": (-[\d.]+), "top"/m.exec(text)
    const [prompt, maxTokens, logprobs] = [shown?.[1] ?? '', Number(shown?.[2]), Number(shown?.[3])]
    const result = await model.generate(prompt, { maxTokens, logprobs, temperature: 0 }).result
    const given = result.logprobs?.find(({ id }) => id === Number(entry?.[1]))
    expect(given?.token).toBe(entry?.[2])
    expect(given?.logprob.toFixed(3)).toBe(entry?.[3])
  })

  test('is refused options with the words of docs/library.md', async () => {
    const shown = [...page('docs/library.md').matchAll(/^UsageError: (.*)$/gm)]
    expect(shown).toHaveLength(3)
    for (const [, message] of shown) {
      const [, name, value] =
        /option of generate, got "(.*?)"|Expected kv .* got "(.*?)"/.exec(message) ?? []
      const call = async () =>
        name === undefined
          ? loadModel(undefined, { kv: value } as never)
          : model.generate('a', { [name]: 1 } as never).result
      await expect(call()).rejects.toThrow(message)
    }
  })
})

describe.skipIf(!hasEmbeddedModel())('the programs of docs/ja', () => {
  let folder: string
  const programs = [...page('docs/ja/README.md').matchAll(/```js\n([\s\S]*?)```/g)].map(
    ([, code]) => code,
  )

  beforeAll(async () => {
    await buildProgram()
    folder = await mkdtemp(join(tmpdir(), 'bitnet-pages-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function run(part: string): Promise<{ out: string; err: string }> {
    const code = programs.find((text) => text.includes(part)) ?? ''
    const library = pathToFileURL(join(ROOT, 'dist/index.js')).href
    const path = join(folder, 'program.mjs')
    await writeFile(path, code.replace("'bitnet-ts'", `'${library}'`))
    const { code: exit, out, err } = await start(path, [], { input: '' }).outcome
    expect(exit, err).toBe(0)
    return { out, err }
  }

  test('write a story, and tell its speed', async () => {
    const { out, err } = await run('model.generate(')
    expect(out.length).toBeGreaterThan(20)
    expect(err).toMatch(/^\n\d+トークン、[\d.]+トークン\/秒\n$/)
  })

  test('talk, with the answers of the card', async () => {
    const { out } = await run('model.chat()')
    expect(out).toContain(
      '> あなたは誰ですか？\nbitnet-ja-enといいます。重みが -1、0、+1 だけの、bitnet-tsに内蔵された小さな言語モデルです。\n',
    )
    expect(out).toMatch(/> 何ができますか？\n短い会話、BitNetやbitnet-tsの説明/)
  })
})

test('the codes beside absmeanQuantize in both READMEs are those it gives', () => {
  for (const name of ['README.md', 'README.ja.md']) {
    const shown = /absmeanQuantize\(Float32Array\.of\((.*?)\)\) +\/\/ (.*)$/m.exec(page(name))
    const numbers = (shown?.[1] ?? '').split(',').map(Number)
    expect([...absmeanQuantize(Float32Array.from(numbers)).codes].join(', ')).toBe(shown?.[2])
  }
  expect(absmaxQuantize(Float32Array.of(1)).q[0]).toBe(127)
})

test('both READMEs show the folders of src, and the Japanese one the figures of the English one', () => {
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
  const figures = (text: string) =>
    [...text.matchAll(/^\| (?:bitnet-ts|ik_llama|node-llama).*$/gm)].map(([row]) =>
      row.replaceAll('〜', '-').match(/\d+-\d+/g),
    )
  const [english, japanese] = [page('README.md'), page('README.ja.md')]
  for (const text of [english, japanese]) {
    const shown = [...text.matchAll(/^ {2}([a-z-]+)\/ {2,}/gm)].map(([, name]) => name)
    expect(shown.sort()).toEqual(folders)
  }
  expect(figures(english)).toHaveLength(4)
  expect(figures(japanese)).toEqual(figures(english))
})

test('the table of speeds in README.md has the figures of docs/performance.md, least to most', () => {
  const [readme, measured] = [page('README.md'), page('docs/performance.md')]
  const row = (text: string, name: string) =>
    text
      .split('\n')
      .find((line) => line.startsWith(`| ${name}`))
      ?.split('|') ?? []
  const range = (cell: string) => {
    const values = cell.split(',').map(Number)
    return `${Math.round(Math.min(...values))}-${Math.round(Math.max(...values))}`
  }
  for (const [name, source, columns] of [
    ['bitnet-ts, AVX-512', 'bitnet-ts, default', [2, 3]],
    ['bitnet-ts, AVX2', 'bitnet-ts, `--isa x86-avx2`', [2]],
    ['ik_llama.cpp', 'ik_llama.cpp', [2, 3]],
    ['node-llama-cpp', 'node-llama-cpp', [2, 3]],
  ] as const) {
    const figures = row(measured, source)
    for (const column of columns) {
      expect(row(readme, name)[column], name).toContain(range(figures[column === 2 ? 2 : 4]))
    }
  }
})

test('the size of the capable model is that of its alias', async () => {
  const size = formatBytes(findAlias('bitnet-2b')?.bytes ?? 0)
  expect(page('docs/ja/README.md')).toContain(`（約${size}）`)
  expect((await bitnet(['models'])).out).toMatch(new RegExp(`^bitnet-2b .* ${size} `, 'm'))
})
