/**
 * What the files call the tensors of a decoder, and their lookup with a check of the shape. The
 * spellings of the sub-norms are those of BitNet 2B-4T, of the 1bitLLM reproduction, and of models where
 * each projection has a norm: BitNet's embedding models, and transformers' own (use_rms_norm).
 */
import { FormatError } from '../../errors.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'

export type ModelTensor = 'embedding' | 'finalNorm' | 'head'

export type LayerNorm =
  | 'attentionNorm'
  | 'queryInputNorm'
  | 'keyInputNorm'
  | 'valueInputNorm'
  | 'queryHeadNorm'
  | 'keyHeadNorm'
  | 'attentionSubNorm'
  | 'attentionPostNorm'
  | 'ffnNorm'
  | 'gateInputNorm'
  | 'upInputNorm'
  | 'ffnSubNorm'
  | 'ffnPostNorm'

export type LayerMatrix = 'query' | 'key' | 'value' | 'output' | 'gate' | 'up' | 'down'

type LayerTensor = LayerNorm | LayerMatrix

const HUGGING_FACE_MODEL: Record<ModelTensor, string> = {
  embedding: 'model.embed_tokens',
  finalNorm: 'model.norm',
  head: 'lm_head',
}

const HUGGING_FACE_LAYER: Record<LayerTensor, readonly string[]> = {
  attentionNorm: ['input_layernorm'],
  query: ['self_attn.q_proj'],
  key: ['self_attn.k_proj'],
  value: ['self_attn.v_proj'],
  queryInputNorm: ['self_attn.q_proj.norm', 'self_attn.q_proj.rms_norm'],
  keyInputNorm: ['self_attn.k_proj.norm', 'self_attn.k_proj.rms_norm'],
  valueInputNorm: ['self_attn.v_proj.norm', 'self_attn.v_proj.rms_norm'],
  queryHeadNorm: ['self_attn.q_norm'],
  keyHeadNorm: ['self_attn.k_norm'],
  attentionSubNorm: [
    'self_attn.attn_sub_norm',
    'self_attn.inner_attn_ln',
    'self_attn.o_proj.norm',
    'self_attn.o_proj.rms_norm',
  ],
  output: ['self_attn.o_proj'],
  // In Gemma, the name that others have for this norm is that of one before it.
  attentionPostNorm: ['post_attention_layernorm'],
  ffnNorm: ['pre_feedforward_layernorm', 'post_attention_layernorm'],
  gateInputNorm: ['mlp.gate_proj.norm', 'mlp.gate_proj.rms_norm'],
  upInputNorm: ['mlp.up_proj.norm', 'mlp.up_proj.rms_norm'],
  gate: ['mlp.gate_proj'],
  up: ['mlp.up_proj'],
  ffnSubNorm: [
    'mlp.ffn_sub_norm',
    'mlp.ffn_layernorm',
    'mlp.down_proj.norm',
    'mlp.down_proj.rms_norm',
  ],
  ffnPostNorm: ['post_feedforward_layernorm'],
  down: ['mlp.down_proj'],
}

const GGUF_MODEL: Record<ModelTensor, string> = {
  embedding: 'token_embd',
  finalNorm: 'output_norm',
  head: 'output',
}

const GGUF_LAYER: Record<LayerTensor, readonly string[]> = {
  attentionNorm: ['attn_norm'],
  query: ['attn_q'],
  key: ['attn_k'],
  value: ['attn_v'],
  queryInputNorm: ['attn_q_norm_in'],
  keyInputNorm: ['attn_k_norm_in'],
  valueInputNorm: ['attn_v_norm_in'],
  queryHeadNorm: ['attn_q_norm'],
  keyHeadNorm: ['attn_k_norm'],
  attentionSubNorm: ['attn_sub_norm', 'attn_output_norm_in'],
  output: ['attn_output'],
  attentionPostNorm: ['post_attention_norm'],
  ffnNorm: ['ffn_norm'],
  gate: ['ffn_gate'],
  up: ['ffn_up'],
  gateInputNorm: ['ffn_gate_norm_in'],
  upInputNorm: ['ffn_up_norm_in'],
  ffnSubNorm: ['ffn_sub_norm', 'ffn_down_norm_in'],
  down: ['ffn_down'],
  ffnPostNorm: ['post_ffw_norm'],
}

/** Names a tensor may have in a file of the format, the usual one first. */
export function modelTensorNames(format: ModelFile['format'], tensor: ModelTensor): string[] {
  if (format === 'gguf') return [`${GGUF_MODEL[tensor]}.weight`]
  return bareToo(`${HUGGING_FACE_MODEL[tensor]}.weight`)
}

/** As {@link modelTensorNames}, for a tensor of one layer, counted from 0. */
export function layerTensorNames(
  format: ModelFile['format'],
  layer: number,
  tensor: LayerTensor,
): string[] {
  if (format === 'gguf') return GGUF_LAYER[tensor].map((name) => `blk.${layer}.${name}.weight`)
  const names = HUGGING_FACE_LAYER[tensor]
  return names.flatMap((name) => bareToo(`model.layers.${layer}.${name}.weight`))
}

/** Models without a head, of a class such as Qwen3Model, leave "model." out. */
function bareToo(name: string): string[] {
  return name.startsWith('model.') ? [name, name.slice('model.'.length)] : [name]
}

/**
 * Finds a tensor and checks its shape against the configuration's.
 *
 * @param shape (rows, cols) of a matrix or (n) of a vector; packed bytes (type U8) hold four rows in
 *   one, so their first dimension is a quarter of it
 * @throws FormatError naming the tensor if it is missing or of another shape
 */
export function findTensor(
  file: ModelFile,
  names: readonly string[],
  shape: readonly number[],
): TensorInfo {
  const tensor = names.map((name) => file.tensors.get(name)).find((found) => found !== undefined)
  if (tensor === undefined) {
    throw new FormatError(
      `Expected a tensor "${names.join('" or "')}" in ${file.name}, found none of that name among ` +
        `${file.tensors.size}. The file is incomplete or of another family than it says.`,
      { field: names[0], path: file.name },
    )
  }
  const stored = tensor.type === 'U8' ? [Math.ceil(shape[0] / 4), ...shape.slice(1)] : shape
  const isEqual =
    tensor.shape.length === stored.length && stored.every((n, i) => tensor.shape[i] === n)
  if (!isEqual) {
    throw new FormatError(
      `Expected tensor "${tensor.name}" of ${file.name} to have shape (${stored.join(', ')}), got ` +
        `(${tensor.shape.join(', ')}). The file disagrees with its own configuration.`,
      { field: tensor.name, path: file.name },
    )
  }
  return tensor
}
