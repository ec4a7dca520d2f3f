/**
 * What the files call the tensors of a decoder, and their lookup with a check of the shape. The two
 * spellings of the sub-norms are those of BitNet 2B-4T and of the 1bitLLM reproduction.
 */
import { FormatError } from '../errors.ts'
import type { ModelFile, TensorInfo } from '../formats/model-file.ts'

export type ModelTensor = 'embedding' | 'finalNorm' | 'head'

export type LayerNorm = 'attentionNorm' | 'attentionSubNorm' | 'ffnNorm' | 'ffnSubNorm'

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
  attentionSubNorm: ['self_attn.attn_sub_norm', 'self_attn.inner_attn_ln'],
  output: ['self_attn.o_proj'],
  ffnNorm: ['post_attention_layernorm'],
  gate: ['mlp.gate_proj'],
  up: ['mlp.up_proj'],
  ffnSubNorm: ['mlp.ffn_sub_norm', 'mlp.ffn_layernorm'],
  down: ['mlp.down_proj'],
}

const GGUF_MODEL: Record<ModelTensor, string> = {
  embedding: 'token_embd',
  finalNorm: 'output_norm',
  head: 'output',
}

const GGUF_LAYER: Record<LayerTensor, string> = {
  attentionNorm: 'attn_norm',
  query: 'attn_q',
  key: 'attn_k',
  value: 'attn_v',
  attentionSubNorm: 'attn_sub_norm',
  output: 'attn_output',
  ffnNorm: 'ffn_norm',
  gate: 'ffn_gate',
  up: 'ffn_up',
  ffnSubNorm: 'ffn_sub_norm',
  down: 'ffn_down',
}

/** Names a tensor may have in a file of the format, the usual one first. */
export function modelTensorNames(format: ModelFile['format'], tensor: ModelTensor): string[] {
  const name = format === 'gguf' ? GGUF_MODEL[tensor] : HUGGING_FACE_MODEL[tensor]
  return [`${name}.weight`]
}

/** As {@link modelTensorNames}, for a tensor of one layer, counted from 0. */
export function layerTensorNames(
  format: ModelFile['format'],
  layer: number,
  tensor: LayerTensor,
): string[] {
  if (format === 'gguf') return [`blk.${layer}.${GGUF_LAYER[tensor]}.weight`]
  return HUGGING_FACE_LAYER[tensor].map((name) => `model.layers.${layer}.${name}.weight`)
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
