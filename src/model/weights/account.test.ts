/** What a file holds beside its model: refused by name where it would change something, in both formats. */

import { beforeAll, describe, expect, test } from 'vitest'
import { ggufFile, packedFile, seededValues } from '../../../test/support/family-model.ts'
import {
  configJson,
  ggufMetadata,
  ggufName,
  huggingFaceShapes,
} from '../../../test/support/family-shapes.ts'
import { encodeDense } from '../../formats/dense-codecs.ts'
import { memorySource } from '../../formats/memory-source.ts'
import type {
  GgufFile,
  SafetensorsFile,
  TensorType,
  UnreadTensor,
} from '../../formats/model-file.ts'
import { readConfig } from '../config/read-config.ts'
import { checkHeadCopy, leftOutTensors } from './account.ts'
import { planWeights } from './weight-plan.ts'

const SIZES = { dim: 128, ffn: 256, layers: 2, heads: 2, kvHeads: 1, headDim: 64, vocab: 20 }
const values = seededValues(huggingFaceShapes(SIZES))
const linear_class = 'autobitlinear'
const TIED = { model_type: 'llama', tie_word_embeddings: true }
const PACKED = configJson(SIZES, {
  ...TIED,
  quantization_config: { quant_method: 'bitnet', linear_class },
})
const checkpoint = packedFile(PACKED, values, 'multiply')
let gguf: GgufFile
beforeAll(async () => {
  const named = new Map([...values].map(([name, one]) => [ggufName(name), one]))
  const metadata = ggufMetadata('llama', SIZES, { 'attention.layer_norm_rms_epsilon': 1e-5 })
  gguf = await ggufFile(metadata, named, { projections: 'I2_S' })
})

type File = GgufFile | SafetensorsFile

function withTensor(file: File, name: string, type: TensorType, shape: readonly number[]): File {
  const count = shape.reduce((a, b) => a * b, 1)
  const bytes = new Uint8Array(count * 8).fill(1)
  const source = memorySource(bytes, file.name)
  const tensor = { name, type, shape, source, offset: 0, byteLength: bytes.length }
  return { ...file, tensors: new Map(file.tensors).set(name, tensor) }
}

function withUnread(file: File, unread: readonly UnreadTensor[]): File {
  return { ...file, unread: new Map(unread.map((one) => [one.name, one])) }
}

const unreadOf = (name: string, type: string, shape: number[] = [4]): UnreadTensor => {
  return { name, type, shape, byteLength: 16, note: '' }
}
const plan = (file: File) => planWeights(file, readConfig(file))

const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}`)
PROJECTIONS.push('mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj')
const INNER = [
  'self_attn.q_norm.weight',
  'self_attn.k_norm.weight',
  'self_attn.attn_sub_norm.weight',
  'self_attn.sinks',
  'mlp.ffn_sub_norm.weight',
  'mlp.router.weight',
  'post_feedforward_layernorm.weight',
  'input_layernorm.bias',
  ...PROJECTIONS.flatMap((name) => [`${name}.bias`, `${name}.rms.weight`, `${name}.input_scale`]),
  ...PROJECTIONS.flatMap((name) => [`${name}.lora_A.weight`, `${name}.weight_scale_2`]),
]
const GGUF_INNER = [
  ...['attn_q_norm.weight', 'attn_k_norm.weight', 'attn_sub_norm.weight', 'attn_sinks.weight'],
  ...['ffn_sub_norm.weight', 'post_ffw_norm.weight', 'ffn_gate_inp.weight', 'attn_norm.bias'],
  ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].flatMap(
    (name) => [`${name}.bias`, `${name}.input_scale`, `${name}.weight.lora_a`],
  ),
]

describe('a tensor that the model would leave out is refused by its name', () => {
  test.each([
    ...[0, 1].flatMap((layer) => INNER.map((name) => `model.layers.${layer}.${name}`)),
    ...['model.layers.2.input_layernorm.weight', 'model.norm.bias', 'score.weight', 'foo'],
    ...['vision_tower.patch.weight', 'lm_head.bias', 'model.embed_positions.weight'],
  ])('of a checkpoint: %s', (name) => {
    const file = withTensor(checkpoint, name, 'F32', [128])
    expect(() => plan(file)).toThrow(expect.objectContaining({ code: 'FORMAT', field: name }))
  })

  test.each([
    ...[0, 1].flatMap((layer) => GGUF_INNER.map((name) => `blk.${layer}.${name}`)),
    ...['blk.2.attn_norm.weight', 'output_norm.bias', 'cls.weight', 'foo', 'rope_freqs.weight'],
    ...['rope_factors_long.weight', 'token_types.weight', 'mm.0.weight', 'position_embd.weight'],
  ])('of a GGUF file: %s', (name) => {
    const file = withTensor(gguf, name, 'F32', [128])
    expect(() => plan(file)).toThrow(expect.objectContaining({ code: 'FORMAT', field: name }))
  })

  test.each(['self_attn.q_proj.g_idx', 'mlp.up_proj.qzeros'])(
    'of whole numbers beside a projection: %s',
    (name) => {
      const field = `model.layers.1.${name}`
      const file = withUnread(checkpoint, [unreadOf(field, 'I32')])
      expect(() => plan(file)).toThrow(expect.objectContaining({ field }))
    },
  )

  test('of a type that is not read, which is named', () => {
    const file = withUnread(checkpoint, [unreadOf('foo', 'F8_E4M3')])
    expect(() => plan(file)).toThrow(/"foo" \(F8_E4M3 of \[4\]\)/)
  })

  test('says of layers beyond the configuration how many that has', () => {
    const file = withTensor(gguf, 'blk.2.attn_norm.weight', 'F32', [128])
    expect(() => plan(file)).toThrow('its configuration has 2 layers')
  })
})

describe('what changes nothing is left out and told', () => {
  test('positions, tables that are computed anew, and tensors without elements', () => {
    const tables = withTensor(
      checkpoint,
      'model.layers.0.self_attn.rotary_emb.inv_freq',
      'F32',
      [32],
    )
    const rest = [
      unreadOf('model.embeddings.position_ids', 'I64'),
      unreadOf('foo', 'I32'),
      unreadOf('model.layers.1.empty', 'F32', [0]),
    ]
    const file = withUnread(tables, rest)
    const leftOut = leftOutTensors(file, readConfig(file), plan(file))
    const names = rest.map(({ name }) => name)
    expect(leftOut).toEqual(['model.layers.0.self_attn.rotary_emb.inv_freq', ...names])
    expect(leftOutTensors(checkpoint, readConfig(checkpoint), plan(checkpoint))).toEqual([])
  })

  test('a scale that belongs to a ternary matrix is no left-over', () => {
    const file = withTensor(gguf, 'blk.0.attn_q.scale', 'F32', [1])
    expect(leftOutTensors(file, readConfig(file), plan(file))).toEqual([])
  })

  test.each(['F32', 'F16'] as const)(
    'a head in %s that is the embedding once more',
    async (type) => {
      const embedding = values.get('model.embed_tokens.weight')
      if (embedding === undefined) throw new Error('the model has no embedding')
      const data = embedding.data.map((value) => Math.round(value * 256) / 256)
      const tensor = (name: string, stored: 'F32' | 'F16', numbers: Float32Array) => {
        const bytes = encodeDense(stored, numbers)
        const source = memorySource(bytes)
        return { name, type: stored, shape: [20, 128], source, offset: 0, byteLength: bytes.length }
      }
      const withHead = (head: Float32Array): File => {
        const tensors = new Map(checkpoint.tensors)
          .set('model.embed_tokens.weight', tensor('model.embed_tokens.weight', 'F32', data))
          .set('lm_head.weight', tensor('lm_head.weight', type, head))
        return { ...checkpoint, tensors }
      }
      const copy = withHead(data)
      await expect(checkHeadCopy(copy, readConfig(copy), plan(copy))).resolves.toBeUndefined()
      const other = withHead(data.map((value, i) => (i === 2559 ? value + 1 : value)))
      await expect(checkHeadCopy(other, readConfig(other), plan(other))).rejects.toMatchObject({
        field: 'lm_head.weight',
      })
    },
  )
})

describe('what the model needs', () => {
  test('each of its tensors is missed by name', () => {
    for (const file of [checkpoint, gguf]) {
      for (const { tensor } of plan(file)) {
        const tensors = new Map(file.tensors)
        tensors.delete(tensor.name)
        const config = readConfig(file)
        expect(() => planWeights({ ...file, tensors }, config)).toThrow(`"${tensor.name}"`)
      }
    }
  })

  test('is named with its type where that is not read', () => {
    for (const file of [checkpoint, gguf]) {
      for (const { tensor } of plan(file)) {
        const tensors = new Map(file.tensors)
        tensors.delete(tensor.name)
        const unread = new Map([[tensor.name, unreadOf(tensor.name, 'F8_E4M3', [8, 8])]])
        const wanted = () => plan({ ...file, tensors, unread })
        expect(wanted).toThrow(`"${tensor.name}"`)
        expect(wanted).toThrow('got F8_E4M3 of [8,8], which is not read')
      }
    }
  })

  test.each([PACKED, { ...PACKED, model_type: 'bitnet' }])(
    'packed weights are not guessed at without a quantisation section',
    ({ quantization_config: _, ...config }) => {
      const norms = { 'self_attn.attn_sub_norm': [128], 'mlp.ffn_sub_norm': [256] }
      let file: File = { ...checkpoint, config }
      for (const [name, shape] of config['model_type'] === 'bitnet' ? Object.entries(norms) : []) {
        for (const i of [0, 1])
          file = withTensor(file, `model.layers.${i}.${name}.weight`, 'F32', shape)
      }
      expect(() => plan(file)).toThrow('multiplies or divides')
      expect(() => plan(file)).toThrow(expect.objectContaining({ field: 'quantization_config' }))
    },
  )

  test('norms and tables are no packed bytes', () => {
    const file = withTensor(checkpoint, 'model.embed_tokens.weight', 'U8', [5, 128])
    const name = 'model.embed_tokens.weight'
    expect(() => plan(file)).toThrow(expect.objectContaining({ field: name }))
  })
})
