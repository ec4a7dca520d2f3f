/**
 * Training as a user runs it: a small text to a model that loads, in the same bits with and without a break, and
 * whose logits are the trainer's in every form that it is written in.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openNativeBackend } from '../src/backends/native/native-backend.ts'
import { UsageError } from '../src/errors.ts'
import { parseSafetensors } from '../src/formats/safetensors/index.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { convertFile } from '../src/node/convert/convert-file.ts'
import { openFileSource } from '../src/node/files/file-source.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { readConfigText } from '../src/node/train/config-file.ts'
import { restoreCheckpoint } from '../src/node/train/run-folder.ts'
import { TRAIN_OPTIONS, type TrainOptions, train } from '../src/node/train/train.ts'
import type { TrainEvent } from '../src/train/loop.ts'
import type { StartEvent } from '../src/train/settings.ts'
import { QUANT_MODES, type QuantMode } from '../src/train/shape.ts'
import { Trainer } from '../src/train/trainer.ts'
import { missingForGpu, SWIFTSHADER } from './support/backends.ts'
import { largestDifference, openEngine, promptBatch } from './support/engine.ts'
import { sequencesOf } from './support/sequences.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-train-'))
const text = join(folder, 'text.txt')

/** Sentences with an order that can be learnt. */
const ANIMALS = ['cat', 'dog', 'owl', 'fox', 'hen']
const PLACES = ['house', 'garden', 'river', 'forest']

beforeAll(() => {
  const lines = Array.from({ length: 600 }, (_, i) => {
    return `The ${ANIMALS[i % 5]} is in the ${PLACES[i % 4]}. 猫は${i % 7}匹。`
  })
  writeFileSync(text, `${lines.join('\n')}\n`)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const SMALL = {
  data: [text],
  batch: 4,
  length: 32,
  threads: 1,
  seed: 7,
} satisfies Partial<TrainOptions>

function runIn(name: string, options: Partial<TrainOptions>) {
  return train({ ...SMALL, out: join(folder, name), ...options })
}

function bytesIn(path: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(path)
      .filter((name) => name !== 'trainer.json')
      .map((name) => [name, readFileSync(join(path, name)).toString('base64')]),
  )
}

const MIXTURE = 'experts=4,top=2'

test.each([undefined, MIXTURE])(
  'a run that was ended goes on with the bits of one that was not, experts: %s',
  async (moe) => {
    const own = { steps: 8, saveEvery: 4, accumulate: 2, moe }
    const [first, second] = ['whole', 'broken'].map((name) => (moe ? `${name} mixture` : name))
    const whole = await runIn(first, own)
    const controller = new AbortController()
    const part = await runIn(second, {
      ...own,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'step' && event.step === 3) controller.abort()
      },
    })
    expect(part.stopped).toBe(true)
    expect(part.steps).toBe(3)
    if (moe !== undefined) {
      const other = { ...own, moe: `${moe},balance=0.5`, resume: true }
      await expect(runIn(second, other)).rejects.toThrow('balance to be 0.01')
    }
    const rest = await runIn(second, { ...own, resume: true })
    expect(rest.steps).toBe(8)
    expect(rest.heldOutLoss).toBe(whole.heldOutLoss)
    expect(bytesIn(rest.checkpoint)).toEqual(bytesIn(whole.checkpoint))
    const log = readFileSync(join(folder, second, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
    const steps = log.map((line) => JSON.parse(line)).filter(({ type }) => type === 'step')
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  },
)

test('a run records held-out text, codes, flips and what the model writes, and keeps its bits', async () => {
  const events: (TrainEvent | StartEvent)[] = []
  const recorded = await runIn('recorded', {
    ...{ steps: 8, saveEvery: 4, accumulate: 2, evalEvery: 4, lookEvery: 2, sampleEvery: 4 },
    samplePrompts: ['The cat', '猫は'],
    onEvent: (event) => events.push(event),
  })
  const of = <T extends TrainEvent['type']>(type: T) =>
    events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type)
  expect(of('held-out').map(({ step }) => step)).toEqual([4, 8])
  const codes = of('codes')
  expect(codes.map(({ step }) => step)).toEqual([0, 2, 4, 6, 8])
  expect(codes[0].flipped).toBeUndefined()
  for (const { layers, flipped } of codes.slice(1)) {
    expect(layers).toHaveLength(3)
    for (const { minus, zero, plus } of layers) expect(minus + zero + plus).toBeCloseTo(1, 12)
    expect(flipped).toBeGreaterThan(0)
    expect(flipped).toBeLessThan(0.5)
  }
  expect(of('sample').map(({ step, prompt }) => [step, prompt])).toEqual([
    ...[4, 8].flatMap((step) => ['The cat', '猫は'].map((prompt) => [step, prompt])),
  ])
  const log = readFileSync(join(folder, 'recorded/log.jsonl'), 'utf8').trim().split('\n')
  expect(log.map((line) => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(events)))
  const svg = readFileSync(join(folder, 'recorded/curves.svg'), 'utf8')
  expect(svg).toContain('8 of 8 steps.')
  // Looking changes nothing.
  const plain = await runIn('unrecorded', {
    ...{ steps: 8, saveEvery: 4, accumulate: 2, lookEvery: 0, sampleEvery: 0 },
  })
  expect(bytesIn(recorded.checkpoint)).toEqual(bytesIn(plain.checkpoint))
})

test('a run with Muon goes on with its own bits, and with no other optimiser', async () => {
  const options = { steps: 6, saveEvery: 3, optimizer: 'muon' } as const
  const whole = await runIn('muon', options)
  const controller = new AbortController()
  await runIn('broken muon', {
    ...options,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'step' && event.step === 3) controller.abort()
    },
  })
  const resumed = { steps: 6, saveEvery: 3, resume: true }
  await expect(runIn('broken muon', resumed)).rejects.toThrow(/matrices to be "muon"/)
  const rest = await runIn('broken muon', { ...options, resume: true, threads: 2 })
  expect(bytesIn(rest.checkpoint)).toEqual(bytesIn(whole.checkpoint))
  expect(whole.heldOutLoss).toBe(rest.heldOutLoss)
})

test('a float model becomes ternary as quantisers come in, and goes on with its bits', async () => {
  const float = await runIn('float model', { quant: 'none', steps: 30, lr: 4e-3 })
  const losses: number[] = []
  const options = {
    ...{ init: float.checkpoint, steps: 12, saveEvery: 4, quantizationWarmup: 8, lr: 1e-3 },
    onEvent: (event: TrainEvent | StartEvent) => {
      if (event.type === 'step') losses.push(event.loss)
    },
  }
  const whole = await runIn('warmed', options)
  // The first steps are the float model's own, at what it had come to; without the warm-up it would be lost.
  const warmed = losses.splice(0)
  expect(warmed[0]).toBeLessThan(float.loss + 0.2)
  const { quantizationWarmup: _, ...cold } = options
  await runIn('cold', { ...cold, steps: 1 })
  expect(losses.splice(0)[0]).toBeGreaterThan(warmed[0] + 0.05)
  const controller = new AbortController()
  await runIn('broken warm', {
    ...options,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'step' && event.step === 5) controller.abort()
    },
  })
  const other = { ...options, quantizationWarmup: 9, resume: true }
  await expect(runIn('broken warm', other)).rejects.toThrow('quantizationWarmup to be 8')
  const rest = await runIn('broken warm', { ...options, resume: true })
  expect(bytesIn(rest.checkpoint)).toEqual(bytesIn(whole.checkpoint))
})

const FORMS: readonly (Partial<TrainOptions> & { name: string; quant: QuantMode })[] = [
  ...QUANT_MODES.map((quant) => ({ name: quant, quant })),
  { name: 'mixture', quant: 'b158', moe: MIXTURE },
  { name: 'silu beside sub-norms', quant: 'b158', gate: 'silu' },
  { name: 'silu without sub-norms', quant: 'b1', gate: 'silu', subNorms: false },
  { name: 'relu2 without quantisers', quant: 'none', gate: 'relu2' },
  {
    name: 'a mixture without sub-norms',
    quant: 'b158',
    gate: 'silu',
    subNorms: false,
    moe: MIXTURE,
  },
]

describe.each(FORMS)('a model trained with $name', ({ name, quant, moe, gate, subNorms }) => {
  test('loads, and has the logits of the trainer, also packed and as GGUF', async () => {
    const events: (TrainEvent | StartEvent)[] = []
    const report = await runIn(name, {
      ...{ quant, moe, gate, subNorms },
      steps: 12,
      onEvent: (event) => events.push(event),
    })
    const losses = events.flatMap((event) => (event.type === 'step' ? [event.loss] : []))
    expect(losses).toHaveLength(12)
    expect(losses[11]).toBeLessThan(losses[0])
    expect(events[0].type).toBe('start')

    const ids = Array.from({ length: 32 }, (_, i) => 6 + ((i * 37) % 250))
    const expected = await trainerLogits(report.checkpoint, quant, ids)
    const gguf = join(folder, `${name}.gguf`)
    const packed = join(folder, `${name}-packed`)
    const forms = [report.checkpoint]
    if (quant !== 'none') {
      await convertFile(report.checkpoint, packed, { embedding: 'F32' })
      forms.push(packed)
      await convertFile(report.checkpoint, gguf)
      forms.push(gguf)
    }
    for (const form of forms) {
      await using engine = await openEngine(form, openNativeBackend({ threads: 1 }), EXACT)
      const cache = sequencesOf(engine.decoder, { slots: 1, capacity: ids.length })
      const logits = await engine.decoder.forward(cache.place(promptBatch(ids, 'all')))
      // GGUF keeps the embedding in f16; by which a router may choose another of two experts that are nearly alike.
      const rounded = moe ? 6e-2 : 2e-2
      const tolerance = form.endsWith('.gguf') ? rounded : 1e-5
      expect(largestDifference(logits, expected), form).toBeLessThan(tolerance)
    }
  })
})

/** Everything with all its bits. */
const EXACT = { cacheType: 'f32', matmulPrecision: 'highest' } as const

async function trainerLogits(
  checkpoint: string,
  quant: (typeof QUANT_MODES)[number],
  ids: readonly number[],
): Promise<Float32Array> {
  const { file } = await openModelFile(checkpoint)
  const read = readConfig(file)
  await file.close()
  const model = { ...read, linear: quant === 'none' ? 'dense' : 'ternary' } as const
  const backend = openNativeBackend({ threads: 1 })
  const trainer = await Trainer.open(backend, {
    ...{ model, quant, batch: 1, length: ids.length, recompute: 'none' },
  })
  await restoreCheckpoint(checkpoint, trainer)
  const rows = ids.length
  const logits = await trainer.logits({
    tokens: Int32Array.from(ids),
    targets: new Int32Array(rows),
    weights: new Float32Array(rows),
  })
  await backend.dispose()
  return logits.slice()
}

test.skipIf(missingForGpu() !== undefined)(
  'a GPU learns what processors do, and goes on with its own bits',
  async () => {
    process.env['VK_ICD_FILENAMES'] = SWIFTSHADER
    const settings = { steps: 2, saveEvery: 1, batch: 1, length: 64, sampleEvery: 0 } as const
    const seen: string[] = []
    const expected = await runIn('on-processor', settings)
    const whole = await runIn('on-gpu', {
      // One token tells as much as many, which take long in software.
      ...{ ...settings, backend: 'webgpu', sampleEvery: 2, sampleTokens: 1 },
      onEvent: ({ type }) => seen.push(type),
    })
    expect(seen.filter((type) => type === 'codes' || type === 'sample')).toEqual([
      ...['codes', 'codes', 'sample'],
    ])
    expect(whole.heldOutLoss).toBeCloseTo(expected.heldOutLoss ?? 0, 3)
    // As if it had ended behind the first step.
    rmSync(whole.checkpoint, { recursive: true })
    const rest = await runIn('on-gpu', {
      ...{ ...settings, backend: 'webgpu', resume: true, lookEvery: 0 },
    })
    expect(rest.heldOutLoss).toBe(whole.heldOutLoss)
  },
)

test('the last checkpoints stay, and the one with the lowest held-out loss', async () => {
  // The rate of the second half undoes what was learnt in the first.
  const losses = new Map<number, number>()
  const { checkpoint } = await runIn('best', {
    ...{
      steps: 16,
      saveEvery: 2,
      evalEvery: 2,
      keep: 2,
      lr: 4e-3,
      lr2: 3,
      clip: 0,
      sampleEvery: 0,
    },
    onEvent: (event) => {
      if (event.type === 'held-out') losses.set(event.step, event.loss)
    },
  })
  const [[best]] = [...losses].sort(([, a], [, b]) => a - b)
  expect(best).toBeLessThan(14)
  const names = readdirSync(join(checkpoint, '..')).filter((name) => name.startsWith('step-'))
  const nameOf = (step: number) => `step-${String(step).padStart(6, '0')}`
  expect(names).toEqual([best, 14, 16].map(nameOf))
})

test('a run records all its options, by which it runs again to the same bits', async () => {
  const second = join(folder, 'second.txt')
  writeFileSync(second, readFileSync(text, 'utf8').replaceAll('The', 'One'))
  const first = await runIn('recorded options', {
    ...{ data: [`${text}=1,0`, `${second}=0,2`], tokens: 700, lr: 1e-3 },
  })
  const path = join(folder, 'recorded options', 'run.yaml')
  const written = readConfigText(readFileSync(path, 'utf8'), path, TRAIN_OPTIONS)
  expect(written).toMatchObject({ steps: 6, lr: 1e-3, preset: 'tiny', warmup: 1, quant: 'b158' })
  expect(written).not.toHaveProperty('tokens')
  expect(written).not.toHaveProperty('out')
  const again = await train({ ...written, out: join(folder, 'again') })
  expect(bytesIn(again.checkpoint)).toEqual(bytesIn(first.checkpoint))
  // Other shares of the same texts make another run.
  const other = { data: [text, second], steps: 6, lr: 1e-3, resume: true }
  await expect(runIn('recorded options', other)).rejects.toThrow(/lateWeight|data/)
})

test('what does not go together is refused, with what to do', async () => {
  const start = (options: Partial<TrainOptions>) => runIn('whole', options)
  await expect(start({ steps: 8 })).rejects.toThrow(/is there already.*--resume/)
  const other = { steps: 8, saveEvery: 4, accumulate: 2, resume: true }
  await expect(start({ ...other, lr: 1 })).rejects.toThrow(/schedule\.peaks/)
  await expect(runIn('none-yet', { resume: true })).rejects.toThrow(/Expected a checkpoint/)
  await expect(runIn('x', { data: [join(folder, 'nothing')] })).rejects.toThrow(UsageError)
  await expect(train({ data: [text] } as never)).rejects.toThrow(/got no out.*--out run/)
  await expect(train({ out: folder } as never)).rejects.toThrow(/got no data/)
  await expect(runIn('x', { steps: 1, tokens: 5 })).rejects.toThrow(
    /one of steps, tokens and hours/,
  )
  await expect(runIn('x', { learning_rate: 1 } as never)).rejects.toThrow(/lr/)
})

test('a checkpoint that was being written when the process ended is no checkpoint', async () => {
  const { checkpoint } = await runIn('part', { steps: 2 })
  writeFileSync(join(checkpoint, '..', 'step-000009.part'), 'half')
  const report = await runIn('part', { steps: 2, resume: true })
  expect(report.steps).toBe(2)
  const source = await openFileSource(join(checkpoint, 'model.safetensors'))
  expect((await parseSafetensors(source)).tensors.size).toBeGreaterThan(10)
  await source.close()
})

test("a folder is one run's at a time, and files of others in it stay", async () => {
  const theirs = join(folder, 'shared', 'step-000001.part')
  mkdirSync(theirs, { recursive: true })
  writeFileSync(join(theirs, 'thesis.txt'), 'years')
  let second: unknown
  const first = await runIn('shared', {
    steps: 2,
    onEvent: ({ type }) => {
      if (type === 'start') second = runIn('shared', { steps: 2 }).catch((error: unknown) => error)
    },
  })
  expect(await second).toBeInstanceOf(UsageError)
  expect(((await second) as Error).message).toContain('another one is writing there')
  expect(first.steps).toBe(2)
  expect(readdirSync(theirs)).toEqual(['thesis.txt'])
  await runIn('shared', { steps: 2, resume: true })
})

test('text is read in UTF-16, and refused in what would be learnt as something else', async () => {
  const words = readFileSync(text, 'utf8')
  const wide = join(folder, 'wide.txt')
  writeFileSync(wide, Buffer.from(`\ufeff${words}`, 'utf16le'))
  const counts: number[] = []
  for (const data of [text, wide]) {
    const onEvent = (event: TrainEvent | StartEvent) => {
      if (event.type === 'start') counts.push(event.tokens)
    }
    await runIn(`of-${counts.length}`, { data: [data], steps: 1, onEvent })
  }
  expect(counts[1]).toBe(counts[0])
  // Valid ASCII both of them: the beginning of 日本 in ISO-2022-JP, and UTF-16 without a mark.
  for (const [name, bytes] of [
    ['ISO-2022-JP', Buffer.from('\u001b$BF|K\\\u001b(B')],
    ['UTF-16LE without a byte-order mark', Buffer.from('The cat is in the house.', 'utf16le')],
  ] as const) {
    const path = join(folder, 'other.txt')
    writeFileSync(path, bytes)
    await expect(runIn('refused', { data: [path], steps: 1 })).rejects.toThrow(name)
  }
})
