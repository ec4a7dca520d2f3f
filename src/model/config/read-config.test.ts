/** Configurations of every family, from config.json and from GGUF metadata, and what is refused. */
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { memorySource } from '../../formats/memory-source.ts'
import type { GgufFile, GgufValue, TensorInfo } from '../../formats/model-file.ts'
import { configFromGguf } from './gguf-config.ts'
import { configFromHuggingFace } from './hugging-face-config.ts'

/** The fields of BitNet b1.58 2B-4T's config.json. */
const BITNET: JsonObject = {
  architectures: ['BitNetForCausalLM'],
  model_type: 'bitnet',
  hidden_size: 2560,
  intermediate_size: 6912,
  num_hidden_layers: 30,
  num_attention_heads: 20,
  num_key_value_heads: 5,
  hidden_act: 'relu2',
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  vocab_size: 128256,
  max_position_embeddings: 4096,
  tie_word_embeddings: true,
  attention_bias: false,
  quantization_config: { quant_method: 'bitnet', linear_class: 'autobitlinear' },
}

const LLAMA: JsonObject = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 3072,
  intermediate_size: 9216,
  num_hidden_layers: 22,
  num_attention_heads: 12,
  num_key_value_heads: 4,
  head_dim: 256,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  rope_theta: 1000042,
  vocab_size: 131072,
  max_position_embeddings: 32768,
  tie_word_embeddings: false,
}

describe('config.json', () => {
  test('of BitNet 2B-4T', () => {
    expect(configFromHuggingFace(BITNET, '/models/bitnet-2b/')).toEqual({
      architecture: 'bitnet',
      name: 'bitnet-2b',
      dim: 2560,
      nLayers: 30,
      nHeads: 20,
      nKvHeads: 5,
      headDim: 128,
      ffnDim: 6912,
      vocabSize: 128256,
      contextLength: 4096,
      ropeTheta: 500000,
      normEps: 1e-5,
      activation: 'relu2',
      subNorms: true,
      tiedHead: true,
      linear: 'ternary',
    })
  })

  test('of the 1bitLLM reproduction, which calls itself a llama', () => {
    const json = { ...LLAMA, architectures: ['BitnetForCausalLM'], weight_bits: 1 }
    expect(configFromHuggingFace(json, 'large')).toMatchObject({
      activation: 'silu',
      subNorms: true,
      linear: 'ternary',
    })
  })

  test('of a Llama-style ternary model', () => {
    const json = { ...LLAMA, quantization_config: { quant_method: 'bitnet' } }
    const config = configFromHuggingFace(json, 'falcon3')
    expect(config).toMatchObject({ activation: 'silu', subNorms: false, linear: 'ternary' })
    expect(config).toMatchObject({ headDim: 256, tiedHead: false, ropeTheta: 1000042 })
  })

  test('of a dense Llama', () => {
    expect(configFromHuggingFace(LLAMA, 'llama')).toMatchObject({ linear: 'dense' })
  })

  test.each([
    ['rope_parameters before the top level', { rope_parameters: { rope_theta: 2 } }, 2],
    [
      'rope_scaling before both',
      { rope_parameters: { rope_theta: 2 }, rope_scaling: { rope_theta: 3 } },
      3,
    ],
    [
      'the top level where the others do not say',
      { rope_parameters: {}, rope_scaling: { type: 'default' } },
      1,
    ],
    [
      'rope_parameters where rope_scaling is empty',
      { rope_parameters: { rope_theta: 2 }, rope_scaling: {} },
      2,
    ],
    [
      'rope_parameters where rope_scaling is null',
      { rope_parameters: { rope_theta: 2 }, rope_scaling: null },
      2,
    ],
  ])('takes rope_theta as transformers does: %s', (_, more, expected) => {
    expect(configFromHuggingFace({ ...LLAMA, rope_theta: 1, ...more }, 'm').ropeTheta).toBe(
      expected,
    )
  })

  test.each([
    ['llama', { normEps: 1e-6, ropeTheta: 10000, contextLength: 2048, nKvHeads: 12, headDim: 256 }],
    ['bitnet', { normEps: 1e-5, ropeTheta: 500000, contextLength: 2048, headDim: 256 }],
    ['qwen3', { normEps: 1e-6, ropeTheta: 10000, contextLength: 32768, headDim: 128 }],
    ['gemma3_text', { normEps: 1e-6, ropeTheta: 1e6, contextLength: 131072, headDim: 256 }],
  ])('fields that are not there mean what the class of %s in transformers says', (type, wanted) => {
    const { hidden_size, intermediate_size, num_hidden_layers, vocab_size } = LLAMA
    const least = { hidden_size, intermediate_size, num_hidden_layers, vocab_size }
    const heads = { num_attention_heads: 12, num_key_value_heads: null }
    expect(configFromHuggingFace({ ...least, ...heads, model_type: type }, 'm')).toMatchObject(
      wanted,
    )
  })

  test('key heads that are not said differ from those that are null', () => {
    const { num_key_value_heads: _, ...rest } = LLAMA
    const json = { ...rest, model_type: 'qwen3', num_attention_heads: 64 }
    expect(configFromHuggingFace(json, 'm').nKvHeads).toBe(32)
    expect(configFromHuggingFace({ ...json, num_key_value_heads: null }, 'm').nKvHeads).toBe(64)
  })

  test('rotations by the kind of layer are refused in a family that has one kind', () => {
    const rope_parameters = { full_attention: { rope_theta: 2 } }
    expect(() => configFromHuggingFace({ ...LLAMA, rope_parameters }, 'm')).toThrow(
      'other rotations in some layers',
    )
  })

  test('takes rope_scaling in place of rope_parameters, not field by field', () => {
    const linear = { rope_type: 'linear', factor: 2 }
    const read = (more: object) => configFromHuggingFace({ ...LLAMA, ...more }, 'm').ropeScaling
    expect(read({ rope_parameters: linear })).toEqual({ type: 'linear', factor: 2 })
    const both = { rope_parameters: linear, rope_scaling: { ...linear, factor: 4 } }
    expect(read(both)).toEqual({ type: 'linear', factor: 4 })
    expect(read({ ...both, rope_scaling: { rope_theta: 5 } })).toBeUndefined()
  })

  test('of Gemma takes the base of windows from rope_parameters first', () => {
    const gemma = {
      ...LLAMA,
      model_type: 'gemma3_text',
      hidden_act: undefined,
      rope_local_base_freq: 7,
    }
    const { head_dim: _, ...rest } = gemma as Record<string, unknown>
    const read = (more: object) =>
      configFromHuggingFace({ ...rest, num_hidden_layers: 6, ...more }, 'm')
    const own = { sliding_attention: { rope_theta: 8 }, full_attention: { rope_theta: 9 } }
    expect(read({ rope_parameters: own }).localAttention?.ropeTheta).toBe(8)
    expect(read({ rope_parameters: own }).ropeTheta).toBe(9)
    expect(read({}).localAttention?.ropeTheta).toBe(7)
    // Without a kind of layer they count for nothing there.
    expect(read({ rope_parameters: { rope_theta: 5 } }).ropeTheta).toBe(LLAMA['rope_theta'])
    const scaled = read({ rope_parameters: own, rope_scaling: { rope_type: 'linear', factor: 8 } })
    expect(scaled).toMatchObject({ ropeTheta: 9, ropeScaling: { type: 'linear', factor: 8 } })
  })

  test('may leave the rotation to rope_parameters', () => {
    const { rope_theta: _, ...rest } = LLAMA
    const json = { ...rest, rope_parameters: { rope_theta: 12345, rope_type: 'default' } }
    expect(configFromHuggingFace(json, 'llama').ropeTheta).toBe(12345)
  })

  test.each<[string, string, JsonObject]>([
    ['a missing size', 'hidden_size', { hidden_size: undefined }],
    ['a size of another type', 'num_hidden_layers', { num_hidden_layers: '22' }],
    ['a size that is no whole number', 'vocab_size', { vocab_size: 10.5 }],
    ['a size beyond its limit', 'intermediate_size', { intermediate_size: 2 ** 40 }],
    ['a negative size', 'hidden_size', { hidden_size: -1 }],
    ['heads that do not divide', 'num_key_value_heads', { num_key_value_heads: 5 }],
    ['an odd head', 'head_dim', { head_dim: 255 }],
    ['a head wider than kernels take', 'head_dim', { head_dim: 258 }],
    ['heads that do not divide the width', 'head_dim', { head_dim: null, hidden_size: 3073 }],
    ['another activation', 'hidden_act', { hidden_act: 'gelu' }],
    ['biases', 'attention_bias', { attention_bias: true }],
    ['biases of the feed-forward', 'mlp_bias', { mlp_bias: true }],
    ['capped logits', 'final_logit_softcapping', { final_logit_softcapping: 30 }],
    ['a window', 'use_sliding_window', { use_sliding_window: true, sliding_window: 128 }],
    ['a look ahead', 'use_bidirectional_attention', { use_bidirectional_attention: true }],
    ['unknown rope scaling', 'rope_scaling', { rope_scaling: { type: 'dynamic', factor: 8 } }],
    ['rope scaling without a factor', 'factor', { rope_scaling: { rope_type: 'linear' } }],
    ['rope scaling by less than one', 'factor', { rope_scaling: { type: 'linear', factor: 0.5 } }],
    ['partial rotation', 'partial_rotary_factor', { partial_rotary_factor: 0.5 }],
    ['a quantisation that is no object', 'quantization_config', { quantization_config: 'bitnet' }],
    ['a list of quantisations', 'quantization_config', { quantization_config: [] }],
    [
      'weights of another class',
      'linear_class',
      { quantization_config: { quant_method: 'bitnet', linear_class: 'int4linear' } },
    ],
    ['inputs of another width', 'input_bits', { input_bits: 4 }],
    ['weights of another width', 'weight_bits', { weight_bits: 4 }],
    ['other quantisation', 'quantization_config', { quantization_config: { quant_method: 'awq' } }],
    [
      'a norm before each projection',
      'use_rms_norm',
      { quantization_config: { quant_method: 'bitnet', use_rms_norm: true } },
    ],
    [
      'a projection kept dense',
      'modules_to_not_convert',
      { quantization_config: { quant_method: 'bitnet', modules_to_not_convert: ['q_proj'] } },
    ],
    ['another family', 'model_type', { model_type: 'mamba' }],
    ['no family', 'model_type', { model_type: undefined }],
  ])('with %s is refused by the name of the field', (_, field, change) => {
    const error = captured(() => configFromHuggingFace({ ...LLAMA, ...change }, 'm'))
    expect(error).toBeInstanceOf(FormatError)
    expect(error).toMatchObject({ field, path: 'm' })
  })

  test('cannot take fields from the prototype', () => {
    const error = captured(() => configFromHuggingFace(Object.create(LLAMA), 'm'))
    expect(error).toMatchObject({ field: 'model_type' })
  })
})

/** The keys of the published GGUF of BitNet b1.58 2B-4T. */
const GGUF: [string, GgufValue][] = [
  ['general.architecture', 'bitnet-b1.58'],
  ['general.name', 'bitnet2b'],
  ['bitnet-b1.58.vocab_size', 128256],
  ['bitnet-b1.58.context_length', 4096],
  ['bitnet-b1.58.embedding_length', 2560],
  ['bitnet-b1.58.block_count', 30],
  ['bitnet-b1.58.feed_forward_length', 6912],
  ['bitnet-b1.58.rope.dimension_count', 128],
  ['bitnet-b1.58.attention.head_count', 20],
  ['bitnet-b1.58.attention.head_count_kv', 5],
  ['bitnet-b1.58.attention.layer_norm_rms_epsilon', 1e-5],
  ['bitnet-b1.58.rope.freq_base', 500000],
]

function gguf(
  changes: Record<string, GgufValue | undefined> = {},
  tensors: Record<string, Partial<TensorInfo>> = {},
): Pick<GgufFile, 'metadata' | 'tensors' | 'name'> {
  const architecture = changes['general.architecture'] ?? 'bitnet-b1.58'
  const metadata = new Map<string, GgufValue>()
  for (const [key, value] of [...GGUF, ...Object.entries(changes)]) {
    const name = key.replace('bitnet-b1.58.', `${architecture}.`)
    if (value === undefined) metadata.delete(name)
    else metadata.set(name, value)
  }
  const source = memorySource(new Uint8Array(0))
  const infos = Object.entries(tensors).map(([name, facts]): [string, TensorInfo] => [
    name,
    { name, type: 'F16', shape: [], source, offset: 0, byteLength: 0, ...facts },
  ])
  return { metadata, tensors: new Map(infos), name: '/models/file.gguf' }
}

describe('GGUF metadata', () => {
  test.each(['bitnet-b1.58', 'bitnet-25'])('of architecture %s', (architecture) => {
    const fromJson = configFromHuggingFace(BITNET, 'bitnet2b')
    expect(configFromGguf(gguf({ 'general.architecture': architecture }))).toEqual({
      ...fromJson,
      architecture,
    })
  })

  test('of architecture bitnet means SiLU', () => {
    const config = configFromGguf(gguf({ 'general.architecture': 'bitnet' }))
    expect(config).toMatchObject({ activation: 'silu', subNorms: true, linear: 'ternary' })
  })

  test.each([
    ['I2_S', 'ternary'],
    ['TQ2_0', 'ternary'],
    ['F16', 'dense'],
    ['Q8_0', 'dense'],
  ] as const)('of architecture llama with %s weights means %s', (type, linear) => {
    const file = gguf({ 'general.architecture': 'llama' }, { 'blk.0.attn_q.weight': { type } })
    expect(configFromGguf(file)).toMatchObject({ linear, subNorms: false, activation: 'silu' })
  })

  test('takes the vocabulary from the embedding and the head from what is there', () => {
    const file = gguf(
      { 'bitnet-b1.58.vocab_size': undefined },
      { 'token_embd.weight': { shape: [777, 2560] }, 'output.weight': {} },
    )
    expect(configFromGguf(file)).toMatchObject({ vocabSize: 777, tiedHead: false })
  })

  test('without a name is called like its file', () => {
    expect(configFromGguf(gguf({ 'general.name': undefined })).name).toBe('file')
  })

  test.each<[string, string, Record<string, GgufValue | undefined>]>([
    ['a missing size', 'bitnet-b1.58.block_count', { 'bitnet-b1.58.block_count': undefined }],
    ['a size as text', 'bitnet-b1.58.block_count', { 'bitnet-b1.58.block_count': '30' }],
    [
      'an epsilon that is no number',
      'bitnet-b1.58.attention.layer_norm_rms_epsilon',
      { 'bitnet-b1.58.attention.layer_norm_rms_epsilon': Number.NaN },
    ],
    ['a size of 64 bits', 'bitnet-b1.58.block_count', { 'bitnet-b1.58.block_count': 2n ** 60n }],
    [
      'a head count per layer',
      'bitnet-b1.58.attention.head_count',
      { 'bitnet-b1.58.attention.head_count': [20, 20] },
    ],
    [
      'partial rotation',
      'bitnet-b1.58.rope.dimension_count',
      { 'bitnet-b1.58.rope.dimension_count': 64 },
    ],
    [
      'unknown rope scaling',
      'bitnet-b1.58.rope.scaling.type',
      { 'bitnet-b1.58.rope.scaling.type': 'longrope' },
    ],
    [
      'another growth of attention',
      'bitnet-b1.58.rope.scaling.yarn_log_multiplier',
      {
        'bitnet-b1.58.rope.scaling.type': 'yarn',
        'bitnet-b1.58.rope.scaling.yarn_log_multiplier': 0.1,
      },
    ],
    [
      'attention to both sides',
      'bitnet-b1.58.attention.causal',
      { 'bitnet-b1.58.attention.causal': false },
    ],
    [
      'capped logits',
      'bitnet-b1.58.final_logit_softcapping',
      { 'bitnet-b1.58.final_logit_softcapping': 30 },
    ],
    ['scaled logits', 'bitnet-b1.58.logit_scale', { 'bitnet-b1.58.logit_scale': 0.25 }],
    ['experts of no use', 'bitnet-b1.58.expert_used_count', { 'bitnet-b1.58.expert_count': 8 }],
    [
      'more experts a token than there are',
      'bitnet-b1.58.expert_used_count',
      { 'bitnet-b1.58.expert_count': 1, 'bitnet-b1.58.expert_used_count': 2 },
    ],
    ['no vocabulary', 'bitnet-b1.58.vocab_size', { 'bitnet-b1.58.vocab_size': undefined }],
    ['another family', 'general.architecture', { 'general.architecture': 'mamba' }],
    ['no family', 'general.architecture', { 'general.architecture': 5 }],
  ])('with %s is refused by the name of the key', (_, field, change) => {
    const error = captured(() => configFromGguf(gguf(change)))
    expect(error).toBeInstanceOf(FormatError)
    expect(error).toMatchObject({ field, path: '/models/file.gguf' })
  })
})

function captured(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}
