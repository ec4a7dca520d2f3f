/**
 * Names and shapes of the tensors of tiny models, by family, in both formats.
 */
import type { JsonObject } from '../../src/checks.ts'
import type { Shapes } from './family-model.ts'

export interface Sizes {
  readonly dim: number
  readonly ffn: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly vocab: number
}

/** What a family's layers have besides the seven projections and two norms. */
export interface Extras {
  /** Names of the sub-norms, of attention and of the feed-forward. */
  readonly subNorms?: readonly [attention: string, ffn: string]
  /** Norms of heads, and of the input of every projection. */
  readonly embedding?: boolean
  readonly headNorms?: boolean
  /** Gemma's four norms a layer. */
  readonly postNorms?: boolean
  /** Experts in place of one feed-forward, by the names of one of these. */
  readonly experts?: { readonly count: number; readonly style: 'mixtral' | 'qwen' }
  /** Leaves "model." out of Hugging Face names. */
  readonly bare?: boolean
  readonly head?: boolean
}

export function huggingFaceShapes(sizes: Sizes, extras: Extras = {}): Shapes {
  const { dim, ffn, layers, heads, kvHeads, headDim, vocab } = sizes
  const prefix = extras.bare ? '' : 'model.'
  const [q, kv] = [heads * headDim, kvHeads * headDim]
  const shapes: Record<string, readonly number[]> = {
    [`${prefix}embed_tokens.weight`]: [vocab, dim],
  }
  const projections: Record<string, readonly number[]> = {
    'self_attn.q_proj': [q, dim],
    'self_attn.k_proj': [kv, dim],
    'self_attn.v_proj': [kv, dim],
    'self_attn.o_proj': [dim, q],
  }
  const feedForward = { gate: [ffn, dim], up: [ffn, dim], down: [dim, ffn] } as const
  const style = extras.experts?.style
  for (let expert = 0; expert < (extras.experts?.count ?? 1); expert++) {
    const own = style === 'mixtral' ? 'block_sparse_moe.' : 'mlp.'
    const of = style ? `${own}experts.${expert}.` : own
    for (const [name, shape] of Object.entries(feedForward)) {
      const mixtral = { gate: 'w1', up: 'w3', down: 'w2' }[name as keyof typeof feedForward]
      projections[`${of}${style === 'mixtral' ? mixtral : `${name}_proj`}`] = shape
    }
  }
  for (let i = 0; i < layers; i++) {
    const add = (name: string, shape: readonly number[]) => {
      shapes[`${prefix}layers.${i}.${name}.weight`] = shape
    }
    add('input_layernorm', [dim])
    add('post_attention_layernorm', [dim])
    for (const [name, shape] of Object.entries(projections)) {
      add(name, shape)
      if (extras.embedding) add(`${name}.norm`, [shape[1]])
    }
    if (extras.experts) {
      add(style === 'mixtral' ? 'block_sparse_moe.gate' : 'mlp.gate', [extras.experts.count, dim])
    }
    if (extras.headNorms)
      for (const name of ['q_norm', 'k_norm']) add(`self_attn.${name}`, [headDim])
    if (extras.postNorms) {
      add('pre_feedforward_layernorm', [dim])
      add('post_feedforward_layernorm', [dim])
    }
    if (extras.subNorms) {
      add(extras.subNorms[0], [q])
      add(extras.subNorms[1], [ffn])
    }
  }
  shapes[`${prefix}norm.weight`] = [dim]
  if (extras.head) shapes['lm_head.weight'] = [vocab, dim]
  return shapes
}

/** What config.json says of the sizes, and `more`. */
export function configJson(sizes: Sizes, more: JsonObject): JsonObject {
  return {
    hidden_size: sizes.dim,
    intermediate_size: sizes.ffn,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.kvHeads,
    head_dim: sizes.headDim,
    vocab_size: sizes.vocab,
    max_position_embeddings: 64,
    ...more,
  }
}

/** What the metadata of a GGUF file says of the sizes, and `more`, whose keys lack the architecture. */
export function ggufMetadata(
  arch: string,
  sizes: Sizes,
  more: Readonly<Record<string, number>>,
): Readonly<Record<string, string | number>> {
  const keys = {
    embedding_length: sizes.dim,
    feed_forward_length: sizes.ffn,
    block_count: sizes.layers,
    'attention.head_count': sizes.heads,
    'attention.head_count_kv': sizes.kvHeads,
    'attention.key_length': sizes.headDim,
    context_length: 64,
    ...more,
  }
  const named = Object.entries(keys).map(([key, value]) => [`${arch}.${key}`, value])
  return { 'general.architecture': arch, ...Object.fromEntries(named) }
}

/** GGUF names of the names above; longer ones before those that they end in. */
const GGUF_NAMES: readonly (readonly [string, string])[] = [
  ['q_proj.norm', 'attn_q_norm_in'],
  ['k_proj.norm', 'attn_k_norm_in'],
  ['v_proj.norm', 'attn_v_norm_in'],
  ['o_proj.norm', 'attn_output_norm_in'],
  ['gate_proj.norm', 'ffn_gate_norm_in'],
  ['up_proj.norm', 'ffn_up_norm_in'],
  ['down_proj.norm', 'ffn_down_norm_in'],
  ['q_proj', 'attn_q'],
  ['k_proj', 'attn_k'],
  ['v_proj', 'attn_v'],
  ['o_proj', 'attn_output'],
  ['q_norm', 'attn_q_norm'],
  ['k_norm', 'attn_k_norm'],
  ['attn_sub_norm', 'attn_sub_norm'],
  ['gate', 'ffn_gate_inp'],
  ['gate_proj', 'ffn_gate'],
  ['up_proj', 'ffn_up'],
  ['down_proj', 'ffn_down'],
  ['ffn_sub_norm', 'ffn_sub_norm'],
  ['input_layernorm', 'attn_norm'],
  ['pre_feedforward_layernorm', 'ffn_norm'],
  ['post_feedforward_layernorm', 'post_ffw_norm'],
]

/** The name that a GGUF file has for a tensor of a Hugging Face checkpoint. */
export function ggufName(name: string, { postNorms = false }: Extras = {}): string {
  const bare = name.replace(/^model\./, '')
  if (bare === 'embed_tokens.weight') return 'token_embd.weight'
  if (bare === 'norm.weight') return 'output_norm.weight'
  if (bare === 'lm_head.weight') return 'output.weight'
  const [, layer, local] = /^layers\.(\d+)\.(?:self_attn\.|mlp\.)?(.*)\.weight$/.exec(bare) ?? []
  if (local === 'post_attention_layernorm') {
    return `blk.${layer}.${postNorms ? 'post_attention_norm' : 'ffn_norm'}.weight`
  }
  const found = GGUF_NAMES.find(([theirs]) => theirs === local)
  if (found === undefined) throw new Error(`GGUF has no name for ${name}`)
  return `blk.${layer}.${found[1]}.weight`
}
