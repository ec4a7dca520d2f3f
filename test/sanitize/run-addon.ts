/**
 * The addon in this process, for its own code: buffers, programs, pools, images that are written, mapped and
 * read sparsely, and a model on all of it. Kernels are the replay program's matter.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nativeVariants, openNativeBackend } from '../../src/backends/native/native-backend.ts'
import { type LoadOptions, loadModel } from '../../src/index.ts'
import { readConfig } from '../../src/model/config/read-config.ts'
import { loadWeights } from '../../src/model/weights/load-weights.ts'
import { weightImages } from '../../src/node/images/image-store.ts'
import { openModelFile } from '../../src/node/open-model.ts'
import { defaultModelPath } from '../../src/node/resolve-model.ts'

const cache = mkdtempSync(join(tmpdir(), 'bitnet-sanitize-'))
let answers = 0

/** Loads the model's weights by way of an image, which the first call writes and the second one maps. */
async function loadImage(options: { head: 'int8' | 'int4'; weights: 'base3' | '2bit' }) {
  const { file } = await openModelFile(defaultModelPath())
  const backend = openNativeBackend({ threads: 3 })
  const config = readConfig(file)
  const images = weightImages({ folder: join(cache, 'images'), minLoadMs: 0, minBytes: 0 })
  const load = () => loadWeights(backend, file, config, options)
  const loaded = await images?.load({ backend, file, config, options }, load)
  const state = (await loaded?.kept)?.state
  loaded?.weights.dispose()
  await file.close()
  backend.dispose()
  return state
}

try {
  for (const options of [
    { head: 'int4', weights: 'base3' },
    { head: 'int8', weights: '2bit' },
  ] as const) {
    const states = [await loadImage(options), await loadImage(options)]
    if (states.join() !== 'written,mapped') throw new Error(`images were ${states}`)
  }
  const isas = nativeVariants().flatMap(({ isa, supported }) => (supported ? [isa] : []))
  const settings = [
    ...isas.map((isa) => ({ isa, threads: 2 })),
    ...[1, 3, 5, 7].map((threads) => ({ threads })),
    { head: 'int4', weights: 'base3', kv: 'int8' },
    { kv: 'int4', cacheMemory: 32 },
    { kv: 'f32' },
  ] as const satisfies readonly LoadOptions[]
  for (const options of settings) {
    await using model = await loadModel(undefined, { backend: 'native', ...options })
    const texts = ['昔々、', 'Once upon a time', '春になると']
    const batch = await model.generateBatch(texts, { maxTokens: 8, seed: 1 })
    answers += batch.length
    const controller = new AbortController()
    try {
      const endless = model.generate('むかし', { maxTokens: 32, signal: controller.signal })
      for await (const _ of endless) controller.abort()
    } catch (error) {
      if ((error as Error).name !== 'AbortError') throw error
    }
  }
} finally {
  rmSync(cache, { recursive: true, force: true })
}
console.log(`images written and mapped, ${answers} answers`)
