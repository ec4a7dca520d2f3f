/**
 * Inspection of a model of one layer whose weights repeat -1, 0, 0, +1, made in memory.
 */
import { describe, expect, test } from 'vitest'
import { memorySource } from '../formats/memory-source.ts'
import type { JsonObject, SafetensorsFile, TensorInfo } from '../formats/model-file.ts'
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
    const model = await inspectModel(madeFile(CONFIG), (...layer) => seen.push(layer))
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

  test('needs two bits a weight, a scale a row, its table, norms and a cache', async () => {
    const { memory } = await inspectModel(madeFile(CONFIG), () => {})
    const stackedRows = 64 + 32 + 128 + 32
    expect(memory).toEqual({
      ternaryBytes: TERNARY / 4 + 4 * stackedRows,
      denseBytes: {
        f16: 2 * VOCAB * DIM + 4 * NORMS,
        int8: VOCAB * (DIM + 4) + 4 * NORMS,
      },
      // Keys and values, one head of 16, two bytes.
      kv: 'f16',
      cacheBytesPerToken: 64,
      // The context of 100, in whole blocks of 16 positions.
      cacheBytesAtFullContext: 64 * 112,
    })
  })
})

test('a model that cannot be run still shows its tensors, and why', async () => {
  const model = await inspectModel(madeFile({ ...CONFIG, model_type: 'mamba' }), () => {})
  expect(model.config).toBeNull()
  expect(model.memory).toBeNull()
  expect(model.problem).toContain('model_type')
  expect(model.layers).toEqual([])
  expect(model.parameters.total).toBe(TERNARY + VOCAB * DIM + NORMS)
})
