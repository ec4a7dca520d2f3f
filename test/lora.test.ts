/** Adapters as a user learns them: beside a ternary model of any form, with a break, and added to its weights. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openNativeBackend } from '../src/backends/native/native-backend.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { convertFile } from '../src/node/convert/convert-file.ts'
import { mergeAdapters } from '../src/node/convert/merge-adapters.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { restoreCheckpoint } from '../src/node/train/run-folder.ts'
import { type TrainOptions, train } from '../src/node/train/train.ts'
import { loadFrozenBase } from '../src/train/frozen-base.ts'
import type { TrainReport } from '../src/train/loop.ts'
import { Trainer } from '../src/train/trainer.ts'
import { largestDifference, openEngine, promptBatch } from './support/engine.ts'
import { sequencesOf } from './support/sequences.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-lora-'))
const [animals, colours] = ['animals.txt', 'colours.txt'].map((name) => join(folder, name))
let base: TrainReport

const SMALL = { batch: 4, length: 32, threads: 1, seed: 7 } satisfies Partial<TrainOptions>

function runIn(name: string, options: Partial<TrainOptions> & Pick<TrainOptions, 'data'>) {
  return train({ ...SMALL, out: join(folder, name), ...options })
}

function bytesIn(path: string): Record<string, string> {
  const names = readdirSync(path).filter((name) => name !== 'trainer.json')
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(path, name)).toString('base64')]),
  )
}

beforeAll(async () => {
  const lines = (words: readonly string[], form: string) =>
    Array.from({ length: 600 }, (_, i) => form.replace('*', words[i % words.length])).join('\n')
  writeFileSync(animals, lines(['cat', 'dog', 'owl', 'fox', 'hen'], 'The * is in the garden.'))
  writeFileSync(colours, lines(['red', 'blue', 'green'], 'My house is *, and yours too.'))
  base = await runIn('base', { data: [animals], steps: 40 })
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ADAPTED = { data: [''], steps: 16, saveEvery: 8, lora: 'rank=4,alpha=8', lr: 1e-2 }

test('adapters learn a text beside a frozen model, go on with their bits, and are all that is kept', async () => {
  const options = { ...ADAPTED, data: [colours], init: base.checkpoint }
  const losses: number[] = []
  const whole = await runIn('whole', {
    ...options,
    onEvent: (event) => {
      if (event.type === 'step') losses.push(event.loss)
      if (event.type === 'start') expect(event.frozen).toBeGreaterThan(10 * event.parameters)
    },
  })
  expect(losses[15]).toBeLessThan(losses[0] - 0.5)
  expect(readdirSync(whole.checkpoint).sort()).toEqual([
    'adapter_config.json',
    'adapter_model.safetensors',
    'optimizer.safetensors',
    'trainer.json',
  ])
  const controller = new AbortController()
  await runIn('broken', {
    ...options,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'step' && event.step === 5) controller.abort()
    },
  })
  const other = { ...options, lora: 'rank=4,alpha=9', resume: true }
  await expect(runIn('broken', other)).rejects.toThrow('lora.alpha to be 8')
  const rest = await runIn('broken', { ...options, resume: true, threads: 2 })
  expect(bytesIn(rest.checkpoint)).toEqual(bytesIn(whole.checkpoint))

  // Beside the packed forms of the model they learn the same: codes are all there is of it.
  const packed = join(folder, 'packed')
  await convertFile(base.checkpoint, packed, { embedding: 'F32' })
  const beside = await runIn('beside packed', { ...options, init: packed })
  expect(beside.loss).toBeCloseTo(whole.loss, 4)
})

test('adapters are added to the weights of their model, which is then dense', async () => {
  const options = { ...ADAPTED, data: [colours], init: base.checkpoint }
  const { checkpoint } = await runIn('merged', options)
  const target = join(folder, 'merged-model')
  const report = await mergeAdapters(checkpoint, target)
  expect(report).toMatchObject({ base: base.checkpoint, adapters: 21 })
  const ids = [...Buffer.from('My house is green, and').values()].map((byte) => byte + 6)
  const logitsOf = async (path: string) => {
    await using engine = await openEngine(path, openNativeBackend({ threads: 1 }), {
      ...{ cacheType: 'f32', matmulPrecision: 'highest' },
    })
    const cache = sequencesOf(engine.decoder, { slots: 1, capacity: ids.length })
    return (await engine.decoder.forward(cache.place(promptBatch(ids, 'all')))).slice()
  }
  const [merged, before] = [await logitsOf(target), await logitsOf(base.checkpoint)]
  const change = largestDifference(merged, before)
  expect(change).toBeGreaterThan(0.5)
  expect(existsSync(join(target, 'tokenizer.json'))).toBe(true)
  // The adapters as they were learnt are beside int8 inputs, which the dense model does not round.
  expect(largestDifference(merged, await adaptedLogits(checkpoint, ids))).toBeLessThan(change / 8)
  const other = await runIn('narrow', {
    ...options,
    preset: '6m',
    init: undefined,
    lora: undefined,
    steps: 1,
  })
  const config = join(checkpoint, 'adapter_config.json')
  const fields = JSON.parse(readFileSync(config, 'utf8'))
  writeFileSync(config, JSON.stringify({ ...fields, base_model_name_or_path: other.checkpoint }))
  await expect(mergeAdapters(checkpoint, join(folder, 'none'))).rejects.toThrow('another model')
  writeFileSync(config, JSON.stringify({ ...fields, use_dora: true }))
  await expect(mergeAdapters(checkpoint, join(folder, 'none'))).rejects.toThrow('use_dora')
  expect(existsSync(join(folder, 'none'))).toBe(false)
})

/** The trainer's own, beside the base. */
async function adaptedLogits(checkpoint: string, ids: readonly number[]): Promise<Float32Array> {
  const { file } = await openModelFile(base.checkpoint)
  const backend = openNativeBackend({ threads: 1 })
  const trainer = await Trainer.open(backend, {
    ...{ model: readConfig(file), quant: 'b158', batch: 1, length: ids.length, recompute: 'none' },
    lora: { rank: 4, alpha: 8 },
  })
  await loadFrozenBase(trainer, file)
  await restoreCheckpoint(checkpoint, trainer)
  const tokens = Int32Array.from(ids)
  const unused = { targets: new Int32Array(ids.length), weights: new Float32Array(ids.length) }
  const logits = await trainer.logits({ tokens, ...unused })
  await file.close()
  backend.dispose()
  return logits
}

test('adapters need a ternary model', async () => {
  const { data, ...rest } = { ...ADAPTED, data: [colours] }
  await expect(runIn('alone', { data, ...rest })).rejects.toThrow('--init MODEL')
  const float = await runIn('float', { data, quant: 'none', steps: 2 })
  const beside = runIn('beside float', { data, ...rest, init: float.checkpoint })
  await expect(beside).rejects.toThrow('whose weights are dense')
})
