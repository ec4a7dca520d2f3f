/**
 * A mixture of experts as config.json and GGUF metadata say it: how many, how many of them a token goes to, how wide
 * each is. What would send tokens elsewhere, or weigh results otherwise, is refused.
 */
import { describe, isAbsent } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { MAX_EXPERTS, MAX_TOP } from '../../kernels/route/reference.ts'
import { TILE } from '../../ternary/index.ts'
import type { Experts, ModelConfig } from './config.ts'
import {
  CONFIG_LIMITS,
  type ConfigFields,
  configError,
  readInteger,
  refuse,
} from './config-fields.ts'

/** Model types that are mixtures, whether or not they say how many experts they have. */
const MIXTURES: readonly string[] = ['bitnet_moe', 'mixtral', 'qwen3_moe', 'qwen3moe']

const COUNT = { min: 0, max: MAX_EXPERTS }
const TOP = { min: 1, max: MAX_TOP }

export interface ExpertFields {
  readonly experts?: Experts
  /** The width of each. */
  readonly ffnDim: number
}

/** @throws FormatError for a mixture of another kind */
export function expertsFromJson(fields: ConfigFields, modelType: string): ExpertFields {
  const counts = ['num_local_experts', 'num_experts', 'n_routed_experts']
  const isMixture = MIXTURES.includes(modelType)
  const count = readInteger(fields, counts, COUNT, isMixture ? undefined : 0)
  if (count === 0) return { ffnDim: readInteger(fields, 'intermediate_size', CONFIG_LIMITS.ffnDim) }
  const isQwen = modelType === 'qwen3_moe'
  const isSummed = isQwen ? fields.get('norm_topk_prob') === true : true
  refuse(fields, 'norm_topk_prob', !isSummed, 'weights of experts that do not add up to 1')
  const dense = fields.get('mlp_only_layers')
  const hasDense = Array.isArray(dense) && dense.length > 0
  refuse(fields, 'mlp_only_layers', hasDense, 'layers without experts')
  const step = fields.get('decoder_sparse_step') ?? 1
  refuse(fields, 'decoder_sparse_step', step !== 1, 'layers without experts')
  for (const key of ['shared_expert_intermediate_size', 'n_shared_experts']) {
    refuse(fields, key, Boolean(fields.get(key)), 'experts that all tokens share')
  }
  const hasWindow = modelType === 'mixtral' && !isAbsent(fields.get('sliding_window'))
  refuse(fields, 'sliding_window', hasWindow, 'a window')
  const widths = isQwen ? 'moe_intermediate_size' : 'intermediate_size'
  return {
    experts: checked(fields, 'num_experts_per_tok', count),
    ffnDim: readInteger(fields, widths, CONFIG_LIMITS.ffnDim),
  }
}

/** Keys of other mixtures, and their values that change nothing. */
const OTHER_MIXTURES: readonly (readonly [key: string, what: string, ...plain: unknown[]])[] = [
  ['expert_shared_count', 'experts that all tokens share', 0],
  ['expert_group_count', 'groups of experts', 0, 1],
  // Softmax over all experts, or over the chosen ones, which is the same once it adds up to 1.
  ['expert_gating_func', 'another function of the router', 1, 3],
  ['expert_weights_scale', 'scaled weights of experts', 0, 1],
  ['expert_weights_norm', 'weights of experts that do not add up to 1', true],
  ['leading_dense_block_count', 'layers without experts', 0],
  ['interleave_moe_layer_step', 'layers without experts', 1],
]

/** @throws FormatError for a mixture of another kind */
export function expertsFromGguf(
  fields: ConfigFields,
  architecture: string,
  key: (name: string) => string,
): ExpertFields {
  const isMixture = MIXTURES.includes(architecture)
  const count = readInteger(fields, key('expert_count'), COUNT, isMixture ? undefined : 0)
  const width = key('feed_forward_length')
  if (count === 0) return { ffnDim: readInteger(fields, width, CONFIG_LIMITS.ffnDim) }
  for (const [name, what, ...plain] of OTHER_MIXTURES) {
    const value = fields.get(key(name))
    refuse(fields, key(name), value !== undefined && !plain.includes(value), what)
  }
  const widths = [key('expert_feed_forward_length'), width]
  return {
    experts: checked(fields, key('expert_used_count'), count),
    ffnDim: readInteger(fields, widths, CONFIG_LIMITS.ffnDim),
  }
}

function checked(fields: ConfigFields, key: string, count: number): Experts {
  const top = readInteger(fields, key, TOP)
  if (top > count) throw configError(fields, key, `at most the ${count} experts`, describe(top))
  return { count, top }
}

/**
 * Experts' products are ternary, and their matrices lie below each other in stripes.
 *
 * @throws FormatError if the model's cannot be run
 */
export function checkExperts(source: string, config: ModelConfig): void {
  const { experts, linear, dim, ffnDim } = config
  if (experts === undefined) return
  const fail = (what: string) => {
    throw new FormatError(`Cannot run ${source}: it is a mixture of experts ${what}.`, {
      field: 'experts',
      path: source,
    })
  }
  if (linear === 'dense') fail('with dense weights, and these run with ternary ones only')
  if (config.inputNorms || config.postNorms) fail('with norms that no mixture has')
  if (dim % TILE === 0 && (2 * ffnDim) % TILE === 0) return
  fail(`of ${ffnDim} x ${dim}, whose rows do not fill stripes of ${TILE}`)
}
