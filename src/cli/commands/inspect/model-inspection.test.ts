/**
 * Inspection of a model of one layer whose weights repeat -1, 0, 0, +1, made in memory.
 */
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../checks.ts'
import { memorySource } from '../../../formats/memory-source.ts'
import type { SafetensorsFile, TensorInfo } from '../../../formats/model-file.ts'
import { inspectModel } from './model-inspection.ts'

const DIM = 32
const FFN = 64
const VOCAB = 40
const CONFIG: JsonObject = {
  model_type: 'bitnet',
  hidden_size: DIM,
  intermediate_size: FFN,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: VOCAB,
  max_position_embeddings: 100,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
}

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens.weight': [VOCAB, DIM],
  'model.norm.weight': [DIM],
  'model.layers.0.input_layernorm.weight': [DIM],
  'model.layers.0.post_attention_layernorm.weight': [DIM],
  'model.layers.0.self_attn.attn_sub_norm.weight': [DIM],
  'model.layers.0.mlp.ffn_sub_norm.weight': [FFN],
  'model.layers.0.self_attn.q_proj.weight': [DIM, DIM],
  'model.layers.0.self_attn.k_proj.weight': [16, DIM],
  'model.layers.0.self_attn.v_proj.weight': [16, DIM],
  'model.layers.0.self_attn.o_proj.weight': [DIM, DIM],
  'model.layers.0.mlp.gate_proj.weight': [FFN, DIM],
  'model.layers.0.mlp.up_proj.weight': [FFN, DIM],
  'model.layers.0.mlp.down_proj.weight': [DIM, FFN],
}
const TERNARY = DIM * DIM * 2 + 16 * DIM * 2 + FFN * DIM * 3
const NORMS = 4 * DIM + FFN

function madeFile(config: JsonObject): SafetensorsFile {
  const tensors = Object.entries(SHAPES).map(([name, shape]): [string, TensorInfo] => {
    const count = shape.reduce((product, n) => product * n, 1)
    const values = Float32Array.from({ length: count }, (_, i) => [-0.5, 0, 0, 0.5][i % 4])
    const source = memorySource(new Uint8Array(values.buffer), name)
    return [name, { name, type: 'F32', shape, source, offset: 0, byteLength: 4 * count }]
  })
  return {
    format: 'safetensors',
    name: 'made',
    config,
    tensors: new Map(tensors),
    close: async () => {},
  }
}

describe('a ternary model', () => {
  test('is counted, weight by weight', async () => {
    const seen: number[][] = []
    const model = await inspectModel(madeFile(CONFIG), {
      onLayer: (...layer) => seen.push(layer),
    })
    expect(model.layers).toEqual([
      { layer: 0, weights: TERNARY, minus: 0.25, zero: 0.5, plus: 0.25 },
    ])
    expect(seen).toEqual([[0, 1]])
    const other = VOCAB * DIM + NORMS
    expect(model.parameters).toEqual({ total: TERNARY + other, ternary: TERNARY, other })
    expect(model.bitsPerWeight).toBe(32)
    expect(model.lossless).toBe(true)
    expect(model.tensors).toHaveLength(Object.keys(SHAPES).length)
  })

  test('is described by its header alone, with the memory it needs, when nobody counts', async () => {
    const file = madeFile(CONFIG)
    const blind = [...file.tensors].map(([name, tensor]): [string, TensorInfo] => [
      name,
      { ...tensor, source: { ...tensor.source, read: () => Promise.reject(new Error('read')) } },
    ])
    const model = await inspectModel({ ...file, tensors: new Map(blind) })
    expect(model).toMatchObject({ layers: [], origins: ['F32'], lossless: null })
    expect(model.parameters.ternary).toBe(TERNARY)
    const stackedRows = 64 + 32 + 128 + 32
    const ternaryBytes = TERNARY / 4 + 4 * stackedRows
    // Rows of the table in whole stripes of 16.
    const denseBytes = 4 * 48 * DIM + 4 * NORMS
    expect(model.memory).toMatchObject({ ternaryBytes, denseBytes, head: 'f32', packing: '2bit' })
    // Keys and values of one head: 16 numbers each, and with int8 a scale.
    expect(model.memory?.caches).toEqual([
      { kv: 'f16', bytesPerToken: 64 },
      { kv: 'int8', bytesPerToken: 36 },
    ])
    // The context of 100, in whole blocks of 16 positions.
    expect(model.memory?.totals).toContainEqual({
      context: 100,
      batch: 4,
      kv: 'f16',
      bytes: ternaryBytes + denseBytes + 4 * 112 * 64,
    })
  })

  test('needs what the flags ask for, at contexts that double up to its own', async () => {
    const file = madeFile({ ...CONFIG, max_position_embeddings: 5000 })
    const { memory } = await inspectModel(file, { kv: 'int4', head: 'f16', weights: 'base3' })
    expect(memory).toMatchObject({
      packing: 'base3',
      head: 'f16',
      denseBytes: 2 * 48 * DIM + 4 * NORMS,
    })
    const seen = memory?.totals.map(({ context, batch, kv }) => [context, batch, kv])
    expect(seen).toEqual(
      [512, 2048, 4096, 5000].flatMap((context) => [1, 4, 8].map((n) => [context, n, 'int4'])),
    )
  })
})

test('a file that lacks a tensor shows why it cannot be run, and its configuration', async () => {
  const file = madeFile(CONFIG)
  const tensors = new Map(file.tensors)
  tensors.delete('model.norm.weight')
  const model = await inspectModel({ ...file, tensors })
  expect(model.config?.dim).toBe(DIM)
  expect(model.memory).toBeNull()
  expect(model.problem).toContain('model.norm.weight')
})

test('a model that cannot be run still shows its tensors, and why', async () => {
  const model = await inspectModel(madeFile({ ...CONFIG, model_type: 'mamba' }))
  expect(model.config).toBeNull()
  expect(model.memory).toBeNull()
  expect(model.problem).toContain('model_type')
  expect(model.layers).toEqual([])
  expect(model.parameters.total).toBe(TERNARY + VOCAB * DIM + NORMS)
})
