/**
 * What families have besides the sizes that all of them have: the length of heads, scaled rotations,
 * layers with a window, pooling. As GGUF metadata, and as fields of config.json.
 */
import { fromFloat32, type JsonObject } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { LocalAttention, ModelConfig } from '../model/config/config.ts'
import { namedBody } from '../model/config/families.ts'
import { type RopeScaling, yarnAttentionFactor } from '../model/config/rope-scaling.ts'
import { YARN_TURNS } from '../model/config/rope-scaling-fields.ts'
import { f32, type MetadataEntry, text, u32 } from './metadata-entry.ts'

/** GGUF's number for the last token standing for a text. */
const LAST_TOKEN = 3

/** Every sixth layer of Gemma 3 has no window; other programs know no other pattern. */
const GEMMA3_PATTERN = 6

/**
 * Keys beyond those of the published 2B-4T file.
 *
 * @throws UsageError for what GGUF has no keys for
 */
export function familyMetadata(arch: string, config: ModelConfig): MetadataEntry[] {
  const { headDim, nHeads, dim, localAttention, ropeScaling, inputNorms, nLayers, experts } = config
  const entries: MetadataEntry[] = []
  if (headDim * nHeads !== dim || namedBody(config) !== undefined) {
    entries.push(u32(`${arch}.attention.key_length`, headDim))
    entries.push(u32(`${arch}.attention.value_length`, headDim))
  }
  if (ropeScaling !== undefined)
    entries.push(...scalingMetadata(`${arch}.rope.scaling`, ropeScaling))
  if (localAttention !== undefined) {
    const { window, ropeTheta } = localAttention
    entries.push(u32(`${arch}.attention.sliding_window`, window))
    entries.push(f32(`${arch}.rope.freq_base_swa`, ropeTheta))
    const pattern = windowPattern(localAttention, nLayers)
    if (pattern !== GEMMA3_PATTERN) {
      entries.push(u32(`${arch}.attention.sliding_window_pattern`, pattern))
    }
  }
  if (inputNorms) entries.push(u32(`${arch}.pooling_type`, LAST_TOKEN))
  if (experts !== undefined) {
    entries.push(u32(`${arch}.expert_count`, experts.count))
    entries.push(u32(`${arch}.expert_used_count`, experts.top))
    entries.push(u32(`${arch}.expert_feed_forward_length`, config.ffnDim))
  }
  return entries
}

function scalingMetadata(prefix: string, scaling: RopeScaling): MetadataEntry[] {
  const { type, factor } = scaling
  const entries = [text(`${prefix}.type`, type), f32(`${prefix}.factor`, factor)]
  if (type === 'linear') return entries
  if (type === 'llama3' || !scaling.truncate) {
    throw new UsageError(
      `Expected rope scaling that GGUF has keys for, linear or yarn, got ${type}` +
        `${type === 'yarn' ? ' without truncation' : ''}. The checkpoint runs as it is.`,
    )
  }
  const { originalContext, attentionFactor, betaFast, betaSlow } = scaling
  entries.push(u32(`${prefix}.original_context_length`, originalContext))
  const growth = attentionFactor / yarnAttentionFactor(factor)
  if (fromFloat32(growth) !== 1) entries.push(f32(`${prefix}.attn_factor`, growth))
  if (betaFast !== YARN_TURNS.fast) entries.push(f32(`${prefix}.yarn_beta_fast`, betaFast))
  if (betaSlow !== YARN_TURNS.slow) entries.push(f32(`${prefix}.yarn_beta_slow`, betaSlow))
  return entries
}

/** How many layers it takes from one without a window to the next. */
function windowPattern({ layers }: LocalAttention, nLayers: number): number {
  const local = new Set(layers)
  const fits = (pattern: number) =>
    Array.from({ length: nLayers }, (_, i) => ((i + 1) % pattern !== 0) === local.has(i)).every(
      Boolean,
    )
  const patterns = [GEMMA3_PATTERN, ...Array.from({ length: nLayers + 1 }, (_, i) => i + 1)]
  const found = patterns.find(fits)
  if (found !== undefined) return found
  throw new UsageError(
    `Expected layers without a window at regular distances, got windows in layers ${layers.join(', ')} ` +
      `of ${nLayers}: GGUF has no key for that.`,
  )
}

/** Fields of a config.json that is made of GGUF metadata. */
export function familyFields(config: ModelConfig): JsonObject {
  const { headDim, localAttention, ropeScaling, nLayers, experts, ffnDim } = config
  const body = namedBody(config)
  return {
    ...(body && { head_dim: headDim }),
    ...(body?.modelType === 'gemma3_text' && {
      query_pre_attn_scalar: headDim,
      // Written out, as a config.json without them means a window in five of six layers.
      layer_types: Array.from({ length: nLayers }, (_, layer) =>
        localAttention?.layers.includes(layer) ? 'sliding_attention' : 'full_attention',
      ),
    }),
    ...(localAttention && {
      sliding_window: localAttention.window,
      rope_local_base_freq: fromFloat32(localAttention.ropeTheta),
    }),
    ...(ropeScaling && { rope_scaling: scalingFields(ropeScaling) }),
    ...(experts && { num_experts_per_tok: experts.top }),
    ...(experts && body && { num_experts: experts.count, moe_intermediate_size: ffnDim }),
    ...(experts && body && { norm_topk_prob: true, decoder_sparse_step: 1, mlp_only_layers: [] }),
    ...(experts && !body && { num_local_experts: experts.count }),
  }
}

function scalingFields(scaling: RopeScaling): JsonObject {
  const { type, factor } = scaling
  if (type === 'linear') return { rope_type: type, factor }
  const original = { original_max_position_embeddings: scaling.originalContext }
  if (type === 'llama3') {
    const { lowFrequencyFactor, highFrequencyFactor } = scaling
    const ramp = { low_freq_factor: lowFrequencyFactor, high_freq_factor: highFrequencyFactor }
    return { rope_type: type, factor, ...original, ...ramp }
  }
  const { attentionFactor, betaFast, betaSlow } = scaling
  const turns = { beta_fast: betaFast, beta_slow: betaSlow }
  return { rope_type: type, factor, ...original, attention_factor: attentionFactor, ...turns }
}
