/** A whole model on WebGPU, on the GPU in software: the reference's words, whatever else is in the batch. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type LanguageModel, loadModel } from '../src/index.ts'
import { missingForGpu, requiredBackends, SWIFTSHADER, WEBGPU } from './support/backends.ts'

const tiny = fileURLToPath(new URL('fixtures/tiny/bitnet-packed', import.meta.url))
const prompts = ['a', 'some more words', 'of three lengths, and this one is the longest']
const options = { maxTokens: 4, temperature: 0 }
const missing = missingForGpu()

test.skipIf(missing === undefined)(`${WEBGPU} is not needed (${missing})`, () => {
  expect(requiredBackends()).not.toContain(WEBGPU)
})

describe.skipIf(missing !== undefined)(WEBGPU, () => {
  let gpu: LanguageModel
  let reference: LanguageModel

  beforeAll(async () => {
    vi.stubEnv('VK_ICD_FILENAMES', SWIFTSHADER)
    gpu = await loadModel(tiny, { backend: 'webgpu' })
    reference = await loadModel(tiny, { backend: 'reference' })
  })

  afterAll(async () => {
    await gpu?.dispose()
    await reference?.dispose()
    vi.unstubAllEnvs()
  })

  test('says what runs', () => {
    expect(gpu.backend).toMatchObject({ name: 'webgpu', isa: 'webgpu-tuned' })
    expect(gpu.backend.description).toContain('SwiftShader')
  })

  test.each(prompts)('goes on from %j as the reference does', async (prompt) => {
    const [own, wanted] = [gpu, reference].map((model) => model.generate(prompt, options).result)
    expect((await own).tokenIds).toEqual((await wanted).tokenIds)
  })

  test('runs the variant that BITNET_WEBGPU names, to the same words', async () => {
    vi.stubEnv('BITNET_WEBGPU', 'base')
    const base = await loadModel(tiny, { backend: 'webgpu' })
    expect(base.backend.isa).toBe('webgpu-base')
    const [own, wanted] = [base, gpu].map((model) => model.generate(prompts[1], options).result)
    expect((await own).tokenIds).toEqual((await wanted).tokenIds)
    await base.dispose()
    vi.stubEnv('BITNET_WEBGPU', 'fast')
    await expect(loadModel(tiny, { backend: 'webgpu' })).rejects.toThrow(
      /got "webgpu-fast": webgpu-matrix, webgpu-tuned, webgpu-base/,
    )
    // No GPU in software has matrices.
    vi.stubEnv('BITNET_WEBGPU', 'matrix')
    await expect(loadModel(tiny, { backend: 'webgpu' })).rejects.toThrow(
      /int8 matrices.*SwiftShader/,
    )
    vi.stubEnv('BITNET_WEBGPU', '')
  })

  test('gives in a batch what it gives alone', async () => {
    const alone = []
    for (const prompt of prompts) alone.push((await gpu.generate(prompt, options).result).tokenIds)
    const batch = await gpu.generateBatch(prompts, options)
    expect(batch.map(({ tokenIds }) => tokenIds)).toEqual(alone)
  })
})
