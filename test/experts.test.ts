/**
 * Mixtures of experts: by the names of Mixtral, of Qwen 3 MoE and of our own, in safetensors and GGUF, on every
 * backend. Each form gives the same logits, and these are the logits of a decoder in plain loops.
 */
import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { JsonObject } from '../src/checks.ts'
import { compareModels, convertToCheckpoint, convertToGguf } from '../src/convert/index.ts'
import { FormatError, UsageError } from '../src/errors.ts'
import { memorySink } from '../src/formats/byte-sink.ts'
import { parseGguf } from '../src/formats/gguf/index.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import type { GgufFile, SafetensorsFile } from '../src/formats/model-file.ts'
import { parseSafetensors } from '../src/formats/safetensors/index.ts'
import { float16ToFloat32, float32ToFloat16 } from '../src/kernels/float16.ts'
import { configToRun, readConfig } from '../src/model/config/read-config.ts'
import { Decoder } from '../src/model/decoder.ts'
import { loadWeights } from '../src/model/weights/load-weights.ts'
import { weightMemory } from '../src/model/weights/weight-memory.ts'
import { everyBackend } from './support/backends.ts'
import { largestDifference, largestMagnitude, promptBatch } from './support/engine.ts'
import {
  ggufFile,
  mastersFile,
  packedFile,
  seededValues,
  type Values,
} from './support/family-model.ts'
import {
  configJson,
  type Extras,
  ggufMetadata,
  huggingFaceShapes,
} from './support/family-shapes.ts'
import { plainLogits } from './support/plain-decoder.ts'
import { sequencesOf } from './support/sequences.ts'

const SIZES = { dim: 256, ffn: 256, layers: 2, heads: 4, kvHeads: 2, headDim: 64, vocab: 8 }
const IDS = [3, 1, 0, 7, 4, 4, 5, 5, 6, 3, 2, 2, 2, 6, 7, 1, 0]
const COUNT = 6

/** Over a few letters. */
const TOKENIZER: JsonObject = {
  added_tokens: [{ id: 6, content: '<end>', special: true }],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2, ab: 3, d: 4, e: 5 }, merges: [['a', 'b']] },
}

interface Family {
  readonly name: string
  readonly json: JsonObject
  readonly extras: Extras
  readonly architecture: string
}

const QUANTIZED = { quantization_config: { quant_method: 'bitnet', linear_class: 'autobitlinear' } }
const FAMILIES: readonly Family[] = [
  {
    name: 'mixtral',
    json: { num_local_experts: COUNT, num_experts_per_tok: 2, rms_norm_eps: 1e-5, ...QUANTIZED },
    extras: { experts: { count: COUNT, style: 'mixtral' }, head: true },
    architecture: 'llama',
  },
  {
    name: 'qwen3_moe',
    json: {
      ...{ num_experts: COUNT, num_experts_per_tok: 3, norm_topk_prob: true, ...QUANTIZED },
      ...{ moe_intermediate_size: SIZES.ffn, rms_norm_eps: 1e-5, intermediate_size: 6144 },
    },
    extras: { experts: { count: COUNT, style: 'qwen' }, headNorms: true, head: true },
    architecture: 'qwen3moe',
  },
  {
    name: 'bitnet_moe',
    json: {
      num_local_experts: COUNT,
      num_experts_per_tok: 2,
      tie_word_embeddings: true,
      ...QUANTIZED,
    },
    extras: {
      experts: { count: COUNT, style: 'qwen' },
      subNorms: ['self_attn.attn_sub_norm', 'mlp.ffn_sub_norm'],
    },
    architecture: 'bitnet-b1.58',
  },
]

function familyOf({ name, json, extras }: Family) {
  const values = sharperRouters(seededValues(huggingFaceShapes(SIZES, extras)))
  const config = configJson(SIZES, { model_type: name, rope_theta: 10000, ...json })
  return { values, config, masters: mastersFile(config, values, 'F16') }
}

/** Logits far enough apart that roundings do not choose other experts. */
function sharperRouters(values: Values): Values {
  return new Map(
    [...values].map(([name, { shape, data }]) => [
      name,
      { shape, data: /\.gate\.weight$/.test(name) ? data.map((v) => 4 * v) : data },
    ]),
  )
}

type AnyFile = GgufFile | SafetensorsFile

const EXACT = { cacheType: 'f32', matmulPrecision: 'highest' } as const

async function logitsOf(file: AnyFile, backend: Backend = createReferenceBackend()) {
  const config = await configToRun(file)
  const weights = await loadWeights(backend, file, config)
  const decoder = new Decoder(backend, config, weights, EXACT)
  try {
    const cache = sequencesOf(decoder, { slots: 1, capacity: IDS.length })
    return (await decoder.forward(cache.place(promptBatch(IDS, 'all')))).slice()
  } finally {
    decoder.dispose()
    weights.dispose()
  }
}

/** All positions but two, whose int8 steps may have fallen otherwise, are alike. */
function expectNear(logits: Float32Array, expected: Float32Array): void {
  const scale = largestMagnitude(expected)
  const near = logits.filter((v, i) => Math.abs(v - expected[i]) < 1e-4 * scale)
  expect(near.length).toBeGreaterThan(logits.length / 2)
  expect(largestDifference(logits, expected)).toBeLessThan(0.1 * scale)
}

async function asGguf(file: AnyFile, weights: 'I2_S' | 'TQ2_0' | 'TQ1_0'): Promise<GgufFile> {
  const sink = memorySink()
  await convertToGguf({ file, tokenizerFiles: { tokenizerJson: TOKENIZER } }, sink, { weights })
  return parseGguf(memorySource(sink.bytes(), 'experts.gguf'))
}

/** Back to a checkpoint of one file, in memory. */
async function asCheckpoint(file: AnyFile): Promise<SafetensorsFile> {
  const sinks = new Map<string, ReturnType<typeof memorySink>>()
  const open = async (name: string) => {
    const sink = memorySink()
    sinks.set(name, sink)
    return sink
  }
  await convertToCheckpoint({ file }, { file: open })
  const bytes = (name: string) => sinks.get(name)?.bytes() ?? new Uint8Array()
  const config = JSON.parse(new TextDecoder().decode(bytes('config.json')))
  const parsed = await parseSafetensors(memorySource(bytes('model.safetensors'), 'experts'))
  return { ...parsed, config }
}

const halved = (value: number) => float16ToFloat32(float32ToFloat16(value))

describe.each(FAMILIES)('$name', (family) => {
  const { values, config, masters } = familyOf(family)
  const expected = logitsOf(masters)

  test('agrees with plain loops', async () => {
    const run = await configToRun(masters)
    expect(run).toMatchObject({ experts: { count: COUNT }, ffnDim: SIZES.ffn, linear: 'ternary' })
    expectNear(await expected, await plainLogits(masters, run, IDS, 'f32'))
  })

  test('has the same logits packed', async () => {
    const halves = new Map(
      [...values].map(([name, own]) => [name, { ...own, data: own.data.map(halved) }]),
    )
    expect(await logitsOf(packedFile(config, halves, 'multiply'))).toEqual(await expected)
  })

  test('takes the memory that is said beforehand', async () => {
    const run = readConfig(masters)
    const { ternaryBytes, denseBytes } = await loadWeights(createReferenceBackend(), masters, run)
    expect(weightMemory(masters, run)).toMatchObject({ ternaryBytes, denseBytes })
    // Three matrices an expert at 2 bits, and scales of padded rows.
    const each = (3 * SIZES.dim * SIZES.ffn) / 4 + (2 * SIZES.ffn + SIZES.dim) * 4
    expect(ternaryBytes).toBeGreaterThan(SIZES.layers * COUNT * each)
    expect(ternaryBytes).toBeLessThan(SIZES.layers * (COUNT + 2) * each)
  })

  test.each(['I2_S', 'TQ2_0', 'TQ1_0'] as const)('goes to GGUF as %s and back', async (type) => {
    const gguf = await asGguf(masters, type)
    const run = readConfig(gguf)
    expect(run).toMatchObject({ architecture: family.architecture, ffnDim: SIZES.ffn })
    expect(run.experts).toEqual(readConfig(masters).experts)
    const { dim, ffn } = SIZES
    expect(gguf.tensors.get('blk.1.ffn_gate_inp.weight')?.shape).toEqual([COUNT, dim])
    for (const [name, shape] of [
      ['ffn_gate_exps', [COUNT, ffn, dim]],
      ['ffn_up_exps', [COUNT, ffn, dim]],
      ['ffn_down_exps', [COUNT, dim, ffn]],
    ] as const) {
      expect(gguf.tensors.get(`blk.1.${name}.weight`)).toMatchObject({ type, shape })
      expect(gguf.tensors.has(`blk.1.${name}.scale`)).toBe(type === 'I2_S')
    }
    const back = await asCheckpoint(gguf)
    expect(back.config['model_type']).toBe(family.name)
    const names = [...back.tensors.keys()].filter((name) => !name.endsWith('_scale'))
    expect(names.sort()).toEqual([...masters.tensors.keys()].sort())
    for (const file of [gguf, back]) {
      const { ternary, settings, equalCodes } = await compareModels(masters, file)
      expect([equalCodes, settings]).toEqual([1, []])
      if (type === 'I2_S') expect(ternary).toEqual([])
      const logits = await logitsOf(file)
      if (type === 'I2_S') expect(logits).toEqual(await expected)
      else
        expect(largestDifference(logits, await expected)).toBeLessThan(
          0.1 * largestMagnitude(logits),
        )
    }
  })
})

describe('a mixture on a backend', () => {
  const { masters } = familyOf(FAMILIES[2])
  const expected = logitsOf(masters)

  describe.each(everyBackend())('$title', ({ open }) => {
    test.skipIf(open === undefined)('gives the same, in one pass and token by token', async () => {
      if (open === undefined) return
      const backend = await open()
      try {
        const config = await configToRun(masters)
        const weights = await loadWeights(backend, masters, config)
        const decoder = new Decoder(backend, config, weights, EXACT)
        const cache = sequencesOf(decoder, { slots: 3, capacity: IDS.length })
        // A GPU in software takes seconds a pass.
        const ids = backend.rounding === 'own' ? IDS.slice(0, 5) : IDS
        const whole = (await decoder.forward(cache.place(promptBatch(ids, 'all')))).slice()
        const wanted = (await expected).subarray(0, whole.length)
        if (backend.rounding === 'own') expectNear(whole, wanted)
        else expect(whole).toEqual(wanted)
        // Beside other sequences, in other slots, in pieces.
        const single: number[] = []
        for (const [position, id] of ids.entries()) {
          const beside = { tokens: [id, IDS[0]], slots: [1, 2], positions: [position, 0] }
          const batch =
            position % 2 === 0 ? { tokens: [id], slots: [1], positions: [position] } : beside
          single.push(...(await decoder.forward(cache.place({ ...batch, logitRows: [0] }))))
        }
        expect(Float32Array.from(single)).toEqual(whole)
        decoder.dispose()
      } finally {
        await backend.dispose()
      }
    })
  })

  test('in the 1.6-bit layout gives the same', async () => {
    const config = await configToRun(masters)
    const backend = createReferenceBackend()
    const weights = await loadWeights(backend, masters, config, { weights: 'base3' })
    const decoder = new Decoder(backend, config, weights, EXACT)
    const cache = sequencesOf(decoder, { slots: 1, capacity: IDS.length })
    expect(await decoder.forward(cache.place(promptBatch(IDS, 'all')))).toEqual(await expected)
  })

  test('leaves no zeros out, and says why', async () => {
    const config = await configToRun(masters)
    const load = loadWeights(createReferenceBackend(), masters, config, { sparse: 'on' })
    await expect(load).rejects.toThrow(UsageError)
    await expect(load).rejects.toThrow('mixture of experts')
  })
})

describe('a file of a mixture is refused', () => {
  const [mixtral, qwen] = FAMILIES.map(familyOf)
  const read =
    (config: JsonObject, of = mixtral) =>
    () =>
      readConfig(mastersFile({ ...of.config, ...config }, of.values))

  test.each([
    ['more experts a token than there are', { num_experts_per_tok: 7 }, 'at most the 6 experts'],
    ['no experts', { num_local_experts: undefined }, '"num_local_experts"'],
    ['too many', { num_local_experts: 1025 }, 'from 0 to 1024'],
    ['none for a token', { num_experts_per_tok: 0 }, 'from 1 to 32'],
    ['a window', { sliding_window: 4096 }, 'a window'],
    ['experts that all share', { n_shared_experts: 1 }, 'all tokens share'],
  ])('that has %s', (_, change, message) => {
    expect(read(change)).toThrow(FormatError)
    expect(read(change)).toThrow(message)
  })

  test.each([
    ['weights that do not add up', { norm_topk_prob: false }, 'do not add up to 1'],
    ['unsaid weights, which do not either', { norm_topk_prob: undefined }, 'do not add up to 1'],
    ['dense layers', { mlp_only_layers: [0] }, 'layers without experts'],
    ['dense layers between', { decoder_sparse_step: 2 }, 'layers without experts'],
  ])('that has, of Qwen, %s', (_, change, message) => {
    expect(read(change, qwen)).toThrow(FormatError)
    expect(read(change, qwen)).toThrow(message)
  })

  test('whose weights are dense, or do not fill stripes', async () => {
    const dense = mastersFile({ ...mixtral.config, quantization_config: undefined }, mixtral.values)
    await expect(configToRun(dense)).rejects.toThrow('with dense weights')
    const sizes = { ...SIZES, ffn: 84 }
    const values = seededValues(huggingFaceShapes(sizes, FAMILIES[0].extras))
    const odd = mastersFile({ ...mixtral.config, intermediate_size: 84 }, values)
    await expect(configToRun(odd)).rejects.toThrow('stripes of 16')
  })

  test('that lacks an expert, or has one more', async () => {
    const name = 'model.layers.1.block_sparse_moe.experts.5.w2.weight'
    const without = new Map([...mixtral.values].filter(([own]) => own !== name))
    const backend = createReferenceBackend()
    const load = (values: Values) => {
      const file = mastersFile(mixtral.config, values)
      return loadWeights(backend, file, readConfig(file))
    }
    await expect(load(without)).rejects.toThrow(name)
    const found = mixtral.values.get(name)
    if (found === undefined) throw new Error(`no ${name}`)
    const more = name.replace('.5.', '.6.')
    await expect(load(new Map([...mixtral.values, [more, found]]))).rejects.toThrow(more)
  })

  test.each([
    ['shared experts', 'expert_shared_count', 1],
    ['sigmoids', 'expert_gating_func', 2],
    ['scaled weights', 'expert_weights_scale', 2.5],
    ['dense layers', 'leading_dense_block_count', 1],
  ])('that has, in GGUF, %s', async (_, key, value) => {
    const more = {
      ...{ 'attention.layer_norm_rms_epsilon': 1e-5, expert_count: COUNT, expert_used_count: 2 },
      [key]: value,
    }
    const file = await ggufFile(ggufMetadata('llama', SIZES, more), new Map(), {
      projections: 'I2_S',
    })
    expect(() => readConfig(file)).toThrow(FormatError)
    expect(() => readConfig(file)).toThrow(`llama.${key}`)
  })
})
