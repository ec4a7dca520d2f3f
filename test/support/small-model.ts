/**
 * A decoder small enough to compute by hand-written loops, as a file in memory: dense float32 weights
 * from a seeded generator, in sizes that are no multiples of the kernels' tiles.
 */
import type { JsonObject } from '../../src/checks.ts'
import { memorySource } from '../../src/formats/memory-source.ts'
import type { SafetensorsFile, TensorInfo } from '../../src/formats/model-file.ts'

/** What config.json says about {@link smallModel}; heads 4/2 of 6, so stacked parts end off a tile. */
const SMALL_CONFIG = {
  model_type: 'llama',
  hidden_size: 24,
  intermediate_size: 37,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 29,
  max_position_embeddings: 64,
} as const satisfies JsonObject

export interface SmallModelChanges {
  /** Laid over {@link SMALL_CONFIG}. */
  readonly config?: JsonObject
  /** Tensors to leave out, by name. */
  readonly without?: readonly string[]
  /** Changes a tensor's values before they are stored. */
  readonly edit?: (name: string, values: Float32Array) => void
}

export function smallModel(changes: SmallModelChanges = {}): SafetensorsFile {
  const config = { ...SMALL_CONFIG, ...changes.config }
  const { hidden_size: dim, intermediate_size: ffn, vocab_size: vocab } = SMALL_CONFIG
  const kv = (dim / SMALL_CONFIG.num_attention_heads) * SMALL_CONFIG.num_key_value_heads
  const shapes: Record<string, number[]> = {
    'model.embed_tokens.weight': [vocab, dim],
    'model.norm.weight': [dim],
    'lm_head.weight': [vocab, dim],
  }
  for (let layer = 0; layer < SMALL_CONFIG.num_hidden_layers; layer++) {
    Object.assign(shapes, {
      [`model.layers.${layer}.input_layernorm.weight`]: [dim],
      [`model.layers.${layer}.self_attn.q_proj.weight`]: [dim, dim],
      [`model.layers.${layer}.self_attn.k_proj.weight`]: [kv, dim],
      [`model.layers.${layer}.self_attn.v_proj.weight`]: [kv, dim],
      [`model.layers.${layer}.self_attn.o_proj.weight`]: [dim, dim],
      [`model.layers.${layer}.post_attention_layernorm.weight`]: [dim],
      [`model.layers.${layer}.mlp.gate_proj.weight`]: [ffn, dim],
      [`model.layers.${layer}.mlp.up_proj.weight`]: [ffn, dim],
      [`model.layers.${layer}.mlp.down_proj.weight`]: [dim, ffn],
    })
  }
  const tensors = new Map<string, TensorInfo>()
  let state = 1
  for (const [name, shape] of Object.entries(shapes)) {
    const count = shape.reduce((a, b) => a * b, 1)
    const values = Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0
      return state / 2 ** 32
    })
    changes.edit?.(name, values)
    if (changes.without?.includes(name)) continue
    const bytes = new Uint8Array(values.buffer)
    const source = memorySource(bytes, 'small model')
    tensors.set(name, { name, type: 'F32', shape, source, offset: 0, byteLength: bytes.length })
  }
  return { format: 'safetensors', name: 'small model', config, tensors, async close() {} }
}
