/** config.json of a model in training, as transformers and this package read it. */
import type { JsonObject } from '../../checks.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { ownClass } from '../../model/config/families.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'

/** Masters are quantised where they are loaded. */
const QUANTIZATION = {
  quant_method: 'bitnet',
  linear_class: 'autobitlinear',
  quantization_mode: 'online',
}

export function configJson(model: ModelConfig, tokenizer: TextTokenizer): JsonObject {
  const isBitnet = model.subNorms
  const [eos] = tokenizer.stopIds
  return {
    ...ownClass(isBitnet ? 'bitnet' : 'llama', model),
    vocab_size: model.vocabSize,
    hidden_size: model.dim,
    intermediate_size: model.ffnDim,
    num_hidden_layers: model.nLayers,
    num_attention_heads: model.nHeads,
    num_key_value_heads: model.nKvHeads,
    head_dim: model.headDim,
    hidden_act: model.activation,
    max_position_embeddings: model.contextLength,
    rms_norm_eps: model.normEps,
    rope_theta: model.ropeTheta,
    tie_word_embeddings: model.tiedHead,
    attention_bias: false,
    torch_dtype: 'float32',
    ...(model.experts && {
      num_local_experts: model.experts.count,
      num_experts_per_tok: model.experts.top,
    }),
    ...(tokenizer.bosId !== undefined && { bos_token_id: tokenizer.bosId }),
    ...(eos !== undefined && { eos_token_id: eos }),
    ...(model.linear === 'ternary' && { quantization_config: QUANTIZATION }),
  }
}
