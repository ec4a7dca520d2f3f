/**
 * Tiny models of the decoder families: every form of a family gives the same logits, bit for bit, and
 * these are the logits of a decoder in plain loops.
 */

import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { JsonObject } from '../src/checks.ts'
import { decodeDense, encodeDense } from '../src/formats/dense-codecs.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import type { GgufFile, SafetensorsFile } from '../src/formats/model-file.ts'
import { Seeded } from '../src/kernels/testing/conformance-cases.ts'
import { configToRun } from '../src/model/config/read-config.ts'
import { Decoder } from '../src/model/decoder.ts'
import { loadWeights } from '../src/model/weights/load-weights.ts'
import { testBackends } from './support/backends.ts'
import { largestDifference, largestMagnitude, promptBatch } from './support/engine.ts'
import {
  ggufFile,
  interleaveHeads,
  mastersFile,
  packedFile,
  scaleRowGroups,
  seededValues,
  type Values,
} from './support/family-model.ts'
import {
  configJson,
  ggufMetadata,
  ggufName,
  huggingFaceShapes,
  type Sizes,
} from './support/family-shapes.ts'
import { plainLogits } from './support/plain-decoder.ts'
import { sequencesOf } from './support/sequences.ts'

const IDS = [3, 17, 0, 39, 8, 8, 21, 5, 30, 11]

type AnyFile = GgufFile | SafetensorsFile

async function logitsOf(file: AnyFile, backend = createReferenceBackend() as Backend) {
  try {
    const config = await configToRun(file)
    const weights = await loadWeights(backend, file, config)
    const exact = { cacheType: 'f32', matmulPrecision: 'highest' } as const
    const decoder = new Decoder(backend, config, weights, exact)
    const cache = sequencesOf(decoder, { slots: 1, capacity: IDS.length })
    return (await decoder.forward(cache.place(promptBatch(IDS, 'all')))).slice()
  } finally {
    backend.dispose()
  }
}

/** Nearly all logits are the same, and no int8 step moved one far. */
async function expectPlain(file: AnyFile, logits: Float32Array): Promise<void> {
  const plain = await plainLogits(file, await configToRun(file), IDS, 'f32')
  const scale = largestMagnitude(plain)
  const near = logits.filter((v, i) => Math.abs(v - plain[i]) < 1e-5 * scale)
  expect(near.length).toBeGreaterThan(logits.length / 2)
  expect(largestDifference(logits, plain)).toBeLessThan(0.1 * scale)
}

function metadataOf(arch: string, sizes: Sizes, theta: number) {
  const more = { 'attention.layer_norm_rms_epsilon': 1e-5, 'rope.freq_base': theta }
  return ggufMetadata(arch, sizes, more)
}

/** Names as in GGUF; rows of queries and keys as its llama files have them. */
function toGguf(values: Values, sizes: Sizes, isInterleaved: boolean): Values {
  const entries = [...values].map(([name, { shape, data }]) => {
    const isRotated = isInterleaved && /[qk]_proj\.weight$/.test(name)
    const head = { headDim: sizes.headDim, cols: sizes.dim }
    return [
      ggufName(name),
      { shape, data: isRotated ? interleaveHeads(data, head) : data },
    ] as const
  })
  return new Map(entries)
}

const SMALL: Sizes = { dim: 128, ffn: 256, layers: 2, heads: 4, kvHeads: 2, headDim: 32, vocab: 40 }

describe('BitNet b1.58 2B-4T', () => {
  const subNorms = ['self_attn.attn_sub_norm', 'mlp.ffn_sub_norm'] as const
  const values = seededValues(huggingFaceShapes(SMALL, { subNorms }))
  const json = (quantization: JsonObject) =>
    configJson(SMALL, {
      model_type: 'bitnet',
      tie_word_embeddings: true,
      quantization_config: { quant_method: 'bitnet', ...quantization },
    })
  const masters = mastersFile(json({ quantization_mode: 'online' }), values)
  const expected = logitsOf(masters)

  test('quantised on load, it agrees with plain loops', async () => {
    await expectPlain(masters, await expected)
  })

  test('packed, its scales multiply', async () => {
    const offline = json({ linear_class: 'autobitlinear', quantization_mode: 'offline' })
    expect(await logitsOf(packedFile(offline, values, 'multiply'))).toEqual(await expected)
  })

  test.each(['bitnet-b1.58', 'bitnet-25'])('as I2_S of architecture %s', async (arch) => {
    const metadata = metadataOf(arch, SMALL, 500000)
    const named = new Map(toGguf(values, SMALL, false))
    // The first upload has the tied head a second time.
    const table = named.get('token_embd.weight')
    if (arch === 'bitnet-25' && table !== undefined) named.set('output.weight', table)
    const file = await ggufFile(metadata, named, { projections: 'I2_S' })
    expect(await logitsOf(file)).toEqual(await expected)
  })
})

describe('the 1bitLLM reproduction', () => {
  // As the 3B's heads of 100, and the xl's rows of 5460, which no block of 16 divides.
  const sizes = { ...SMALL, dim: 200, ffn: 84, heads: 2, kvHeads: 2, headDim: 100 }
  const subNorms = ['self_attn.inner_attn_ln', 'mlp.ffn_layernorm'] as const
  const json = configJson(sizes, {
    model_type: 'llama',
    architectures: ['BitnetForCausalLM'],
    weight_bits: 1,
    tie_word_embeddings: true,
  })
  const file = mastersFile(json, seededValues(huggingFaceShapes(sizes, { subNorms })), 'F16')
  const expected = logitsOf(file)

  test('agrees with plain loops', async () => {
    await expectPlain(file, await expected)
  })

  for (const { title, open } of testBackends()) {
    test.skipIf(open === undefined)(`${title} gives the bits of the reference`, async () => {
      if (open === undefined) return
      expect(await logitsOf(file, await open())).toEqual(await expected)
    })
  }
})

describe.each([
  { name: 'Llama3-8B-1.58', sizes: SMALL, theta: 500000 },
  { name: 'Falcon3-1.58, heads of 256', sizes: { ...SMALL, headDim: 256 }, theta: 1000042 },
  { name: 'Falcon-E', sizes: { ...SMALL, heads: 8, headDim: 16 }, theta: 1e6 },
])('$name', ({ sizes, theta }) => {
  const values = seededValues(huggingFaceShapes(sizes, { head: true }))
  const json = configJson(sizes, {
    model_type: 'llama',
    rms_norm_eps: 1e-5,
    rope_theta: theta,
    tie_word_embeddings: false,
    quantization_config: { quant_method: 'bitnet' },
  })

  test('has the same logits from packed bytes, whose scales divide, and from masters', async () => {
    const packed = await logitsOf(packedFile(json, values, 'divide'))
    const masters = mastersFile(json, values)
    const expected = await logitsOf(masters)
    await expectPlain(masters, expected)
    // A scale that went through its inverse is off by a rounding.
    const near = packed.filter((v, i) => Math.abs(v - expected[i]) < 1e-5)
    expect(near.length).toBeGreaterThan(packed.length / 2)
    expect(largestDifference(packed, expected)).toBeLessThan(0.1 * largestMagnitude(expected))
  })

  test('has the same logits from GGUF, whose rows are in another order', async () => {
    const metadata = metadataOf('llama', sizes, theta)
    const file = await ggufFile(metadata, toGguf(values, sizes, true), { projections: 'I2_S' })
    expect(await logitsOf(file)).toEqual(await logitsOf(mastersFile(json, values)))
  })
})

describe('TriLM', () => {
  const values = scaleRowGroups(seededValues(huggingFaceShapes(SMALL, { head: true })), 3)
  const json = configJson(SMALL, {
    model_type: 'llama',
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
  })

  test('is ternary by its weights, and keeps a scale for each group of rows', async () => {
    const file = mastersFile(json, values, 'F16')
    const config = await configToRun(file)
    expect(config.linear).toBe('ternary')
    const weights = await loadWeights(createReferenceBackend(), file, config)
    expect(weights.layers[0].qkv.kind).toBe('ternary')
    await expectPlain(file, await logitsOf(file))
  })

  test('keeps the scales where rows are put in another order', async () => {
    const metadata = metadataOf('llama', SMALL, 10000)
    const file = await ggufFile(metadata, toGguf(values, SMALL, true), {
      projections: 'F16',
      rest: 'F16',
    })
    expect(await logitsOf(file)).toEqual(await logitsOf(mastersFile(json, values, 'F16')))
  })

  test('is dense if one row of a projection is not ternary', async () => {
    const name = 'model.layers.0.mlp.down_proj.weight'
    const edited = new Map(values)
    const matrix = values.get(name)
    if (matrix === undefined) throw new Error('no down projection')
    edited.set(name, { ...matrix, data: matrix.data.map((v, i) => (i === 5 ? v + 0.25 : v)) })
    expect(await configToRun(mastersFile(json, edited, 'F16'))).toMatchObject({ linear: 'dense' })
  })
})

describe('Bonsai, a Qwen 3 body with weights of one or two bits and a scale a group', () => {
  const sizes = { ...SMALL, layers: 1 }
  const shapes = huggingFaceShapes(sizes, { headNorms: true })
  const values = seededValues(shapes)
  // The published ones are stretched four times as well.
  const metadata = {
    ...metadataOf('qwen3', sizes, 1e6),
    'qwen3.rope.scaling.type': 'yarn',
    'qwen3.rope.scaling.factor': 4,
    'qwen3.rope.scaling.original_context_length': 4096,
  }

  test.each([
    { type: 'Q1_0', group: 128, bits: 1 },
    { type: 'Q2_0', group: 64, bits: 2 },
    { type: 'Q2_0_128', group: 128, bits: 2 },
  ] as const)('$type is dense, with its values exactly', async ({ type, group, bits }) => {
    const plain = await ggufFile(metadata, toGguf(values, sizes, false), { projections: 'F16' })
    const [coded, decoded] = [new Map(plain.tensors), new Map(plain.tensors)]
    for (const tensor of plain.tensors.values()) {
      if (!/blk.*(attn_[qkv]|attn_output|ffn_(gate|up|down))\.weight/.test(tensor.name)) continue
      const count = tensor.shape[0] * tensor.shape[1]
      const blocks = count / group
      const bytes = new Seeded(count).int8((blocks * (16 + group * bits)) / 8)
      for (let i = 0; i < blocks; i++) bytes.set([i & 127, 0x24], (i * bytes.length) / blocks)
      const floats = new Float32Array(count)
      decodeDense(type, new Uint8Array(bytes.buffer), floats)
      const place = (data: Uint8Array) => ({
        ...{ source: memorySource(data, 'bonsai'), offset: 0, byteLength: data.length },
      })
      coded.set(tensor.name, { ...tensor, type, ...place(new Uint8Array(bytes.buffer)) })
      decoded.set(tensor.name, { ...tensor, ...place(encodeDense('F16', floats)) })
    }
    const file = { ...plain, tensors: coded }
    expect(await configToRun(file)).toMatchObject({
      linear: 'dense',
      headNorms: true,
      ropeScaling: { type: 'yarn', factor: 4, originalContext: 4096 },
    })
    const logits = await logitsOf(file)
    expect(logits).toEqual(await logitsOf({ ...plain, tensors: decoded }))
    await expectPlain(file, logits)
  })
})

describe.each<{ type: string; more: JsonObject }>([
  { type: 'llama3', more: { low_freq_factor: 1, high_freq_factor: 4 } },
  { type: 'linear', more: {} },
  { type: 'yarn', more: { beta_fast: 16, attention_factor: 1.5 } },
])('Llama with rope scaling $type', ({ type, more }) => {
  const values = seededValues(huggingFaceShapes(SMALL, { head: true }))
  const rope = { rope_type: type, factor: 8, original_max_position_embeddings: 64, ...more }
  const json = configJson(SMALL, { model_type: 'llama', tie_word_embeddings: false })

  test('agrees with plain loops, and differs from one without', async () => {
    const file = mastersFile({ ...json, rope_parameters: { rope_theta: 10000, ...rope } }, values)
    const logits = await logitsOf(file)
    await expectPlain(file, logits)
    const older = mastersFile({ ...json, rope_scaling: rope }, values)
    expect(await logitsOf(older)).toEqual(logits)
    expect(await logitsOf(mastersFile(json, values))).not.toEqual(logits)
  })
})
