/** loadModel from end to end: names and paths, what a model says of itself, and what is refused. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadModel, ModelNotFoundError } from '../src/index.ts'
import { defaultModelPath } from '../src/node/resolve-model.ts'
import { tinyModel } from './support/fixtures.ts'

/** As the stored continuations are, which are longer than what is asked for here. */
const GREEDY = { temperature: 0, repetitionPenalty: 1 } as const

describe('a checkpoint folder', () => {
  test('loads, says what it is and generates', async () => {
    await using model = await loadModel(tinyModel('bitnet-packed'), { backend: 'reference' })
    expect(model.name).toBe('bitnet-packed')
    expect(model.backend).toMatchObject({ name: 'reference', isa: 'typescript', threads: 1 })
    expect(model.config).toMatchObject({ dim: 256, linear: 'ternary', subNorms: true })
    // Two layers of 3.25 * 256 * 256 (attention) and 3 * 768 * 256 (feed-forward) weights at 2 bits.
    expect(model.memory.ternaryBytes).toBeGreaterThan((2 * (3 * 256 * 256 + 9 * 256 * 256)) / 4)
    expect(model.loadMs).toBeGreaterThan(0)
    expect(model.warnings).toEqual([
      expect.stringMatching(/^Expected a vocabulary in .*bitnet-packed, /),
    ])
    const { result } = model.generate('62 456 217', { maxTokens: 4, temperature: 0 })
    const { tokenIds, promptTokenIds } = await result
    expect(promptTokenIds).toEqual([62, 456, 217])
    expect(tokenIds.length).toBeGreaterThan(0)
  })

  test('gives the same tokens by its safetensors file', async () => {
    const generate = async (path: string) => {
      await using model = await loadModel(path, { backend: 'reference' })
      return (await model.generate('1 2 3', { maxTokens: 3, temperature: 0 }).result).tokenIds
    }
    const folder = tinyModel('llama-bitlinear-packed')
    expect(await generate(join(folder, 'model.safetensors'))).toEqual(await generate(folder))
  })
})

describe('loading is refused', () => {
  test('for a path where there is nothing, with what was looked for and where', async () => {
    const path = join(tmpdir(), 'no-such-model.gguf')
    const error = await loadModel(path).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(ModelNotFoundError)
    expect(error).toMatchObject({ source: path })
    expect(String(error)).toContain(path)
    expect(String(error)).toContain('bitnet-ja-en-58m')
  })

  test('for a signal that was aborted before or while it loads', async () => {
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(loadModel(tinyModel('bitnet-packed'), { signal })).rejects.toThrow('too late')
    const controller = new AbortController()
    const loading = loadModel(tinyModel('bitnet-packed'), {
      backend: 'reference',
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    })
    await expect(loading).rejects.toThrow('enough')
  })
})

describe.skipIf(!existsSync(defaultModelPath()))('the embedded model', () => {
  test('is what loads when nothing is named, and continues Japanese and English', async () => {
    await using model = await loadModel()
    expect(model.name).toBe('bitnet-ja-en-58m')
    expect(model.defaults).toMatchObject({
      temperature: 0.1,
      topK: 40,
      topP: 0.9,
      repetitionPenalty: 1.05,
    })
    for (const prompt of [
      'むかしむかし、あるところに',
      'Once upon a time, there was a little girl',
    ]) {
      const { text, usage } = await model.generate(prompt, { ...GREEDY, maxTokens: 12 }).result
      expect(text.length).toBeGreaterThan(5)
      expect(usage.completionTokens).toBe(12)
    }
  })

  test.each(['bitnet-ja-en-58m', 'embedded'])(
    'has a chat template and answers in it, as %s',
    async (name) => {
      await using model = await loadModel(name)
      const chat = model.chat()
      const { text, finishReason } = await chat.send('こんにちは', {
        temperature: 0,
        maxTokens: 60,
      }).result
      expect(text.length).toBeGreaterThan(0)
      expect(finishReason).toBe('stop')
      chat.dispose()
    },
  )
})
