/**
 * The families of models that can be run, as what their graphs have and have not; forward.ts has the
 * graph. How a file says which one it is: config.json by model_type, GGUF by architecture, and both by
 * tensors where the name alone does not tell.
 */
import { describe, isAbsent, isObject, type JsonObject } from '../../checks.ts'
import type { GgufFile, TensorInfo } from '../../formats/model-file.ts'
import { type BodyOption, tensorNames } from '../layers.ts'
import type { ModelConfig } from './config.ts'
import { type ConfigFields, configError, readString, refuse, unsupported } from './config-fields.ts'

export type Family = Pick<ModelConfig, 'activation' | 'linear' | 'shiftedNorms' | BodyOption>

/** BitNet b1.58 2B-4T: squared ReLU, sub-norms. */
const BITNET: Family = { activation: 'relu2', subNorms: true, linear: 'ternary' }
/** The 1bitLLM reproduction: SiLU, sub-norms. */
const REPRODUCTION: Family = { activation: 'silu', subNorms: true, linear: 'ternary' }

/** A body that is there without BitNet too, ternary or dense, and what files call it. */
interface Body {
  readonly graph: Omit<Family, 'linear'>
  readonly gguf: string
  readonly modelType: string
  /** Of transformers, for bodies that keep their name whatever BitNet adds to them. */
  readonly classes?: { readonly withHead: string; readonly headless: string }
  /** Checkpoints hold w for norms that multiply with 1 + w; GGUF files never do. */
  readonly shiftedNorms?: true
}

const LLAMA = { activation: 'silu', subNorms: false } as const

const BODIES: readonly Body[] = [
  // Llama3-8B-1.58, Falcon3, Falcon-E, TriLM.
  { graph: LLAMA, gguf: 'llama', modelType: 'llama' },
  {
    graph: { ...LLAMA, headNorms: true },
    gguf: 'qwen3',
    modelType: 'qwen3',
    classes: { withHead: 'Qwen3ForCausalLM', headless: 'Qwen3Model' },
  },
  // In GGUF a llama with a number of experts.
  { graph: LLAMA, gguf: 'llama', modelType: 'mixtral' },
  {
    graph: { ...LLAMA, headNorms: true },
    gguf: 'qwen3moe',
    modelType: 'qwen3_moe',
    classes: { withHead: 'Qwen3MoeForCausalLM', headless: 'Qwen3MoeModel' },
  },
  {
    graph: { ...LLAMA, activation: 'gelu', headNorms: true, postNorms: true },
    gguf: 'gemma3',
    modelType: 'gemma3_text',
    classes: { withHead: 'Gemma3ForCausalLM', headless: 'Gemma3TextModel' },
    shiftedNorms: true,
  },
]

/** The body of a model that keeps its name in other formats; undefined for Llama's and BitNet's own. */
export function namedBody({ architecture }: ModelConfig): Body | undefined {
  const body = BODIES.find((one) => one.gguf === architecture || one.modelType === architecture)
  return body?.classes && body
}

/** Classes and types without experts and with them; no library has a BitNet with experts. */
const OWN_CLASSES = {
  bitnet: [
    ['BitNetForCausalLM', 'bitnet'],
    ['BitNetMoeForCausalLM', 'bitnet_moe'],
  ],
  llama: [
    ['LlamaForCausalLM', 'llama'],
    ['MixtralForCausalLM', 'mixtral'],
  ],
} as const

/** Fields of a config.json that say which class a model of BitNet's or Llama's own body has. */
export function ownClass(
  body: keyof typeof OWN_CLASSES,
  { experts }: Pick<ModelConfig, 'experts'>,
): JsonObject {
  const [architecture, modelType] = OWN_CLASSES[body][experts === undefined ? 0 : 1]
  return { architectures: [architecture], model_type: modelType }
}

/** Whether a class of transformers is a body without a head, of which the vectors are wanted. */
export function isHeadless(className: unknown): boolean {
  return BODIES.some(({ classes }) => classes?.headless === className)
}

/** Storage types that hold nothing but ternary weights. */
const TERNARY_TYPES: readonly (TensorInfo['type'] | undefined)[] = ['I2_S', 'TQ1_0', 'TQ2_0', 'U8']

/** Whether a file has a tensor of this name. */
export interface TensorNames {
  has(name: string): boolean
}

/** What the 1bitLLM models say of themselves; 1 stands for 1.58, and is read apart where it does not. */
const BITS = [
  { key: 'weight_bits', isPlain: (value: unknown) => value === 1 || value === 1.58 },
  { key: 'input_bits', isPlain: (value: unknown) => value === 8 },
]

/**
 * Which graph a config.json means.
 *
 * @throws FormatError for a family, or a feature of one, that cannot be run
 */
export function huggingFaceFamily(
  fields: ConfigFields,
  modelType: string,
  tensors: TensorNames,
): Family {
  const ownNorms = tensorNames('safetensors', { role: 'queryInputNorm', layer: 0 })
  const isBitnetBody = ownNorms.some((name) => tensors.has(name))
  const quantization = fields.get('quantization_config')
  if (!isAbsent(quantization) && !isObject(quantization)) {
    throw configError(fields, 'quantization_config', 'an object', describe(quantization))
  }
  const method = isObject(quantization) ? quantization['quant_method'] : undefined
  for (const { key, isPlain } of BITS) {
    const value = fields.get(key)
    refuse(fields, key, !isAbsent(value) && !isPlain(value), `${describe(value)} bits`)
  }
  if (isObject(quantization)) {
    refuse(fields, 'quantization_config', method !== 'bitnet', `${describe(method)} weights`)
    const linear = quantization['linear_class']
    const isKnown = isAbsent(linear) || linear === 'bitlinear' || linear === 'autobitlinear'
    refuse(fields, 'linear_class', !isKnown, `weights of class ${describe(linear)}`)
    checkProjectionNorms(fields, quantization, isBitnetBody)
    const kept = quantization['modules_to_not_convert']
    const keptMore = Array.isArray(kept) && kept.some((name) => name !== 'lm_head')
    refuse(fields, 'modules_to_not_convert', keptMore, 'some projections kept dense')
  }
  if (modelType === 'bitnet' || modelType === 'bitnet_moe') {
    // Written where adapters were added to the weights, which are ternary no more.
    const isMerged = isAbsent(quantization) && fields.get('merged_adapters') === true
    const linear = isMerged ? 'dense' : BITNET.linear
    return { ...BITNET, linear, activation: hiddenActivation(fields, 'relu2') }
  }
  const architectures = fields.get('architectures')
  // The reproduction calls itself a llama; its class name, with a small n, or weight_bits tells.
  const isReproduction =
    (Array.isArray(architectures) && architectures.includes('BitnetForCausalLM')) ||
    fields.get('weight_bits') === 1
  if (isReproduction) return { ...REPRODUCTION, activation: hiddenActivation(fields, 'silu') }
  const linear = method === 'bitnet' ? 'ternary' : 'dense'
  const body = BODIES.find((one) => one.modelType === modelType)
  if (body === undefined) {
    const expected = oneOf(['bitnet', ...BODIES.map((one) => one.modelType)])
    throw unsupported(fields, 'model_type', modelType, expected)
  }
  const { graph, shiftedNorms } = body
  const activation = hiddenActivation(fields, graph.activation)
  const read = { ...graph, linear, activation, ...(shiftedNorms && { shiftedNorms }) } as const
  return isBitnetBody ? withInputNorms(read) : read
}

/**
 * Which graph a GGUF file means.
 *
 * @throws FormatError for an architecture that cannot be run
 */
export function ggufFamily(
  fields: ConfigFields,
  { tensors }: Pick<GgufFile, 'tensors'>,
  architecture: string,
): Family {
  const isTernary = TERNARY_TYPES.includes(tensors.get('blk.0.attn_q.weight')?.type)
  const linear = isTernary ? 'ternary' : 'dense'
  if (architecture === 'bitnet-b1.58' || architecture === 'bitnet-25') return BITNET
  if (architecture === 'bitnet') return REPRODUCTION
  const body = BODIES.find(({ gguf }) => gguf === architecture)
  if (body === undefined) {
    const known = ['bitnet-b1.58', 'bitnet-25', 'bitnet', ...BODIES.map(({ gguf }) => gguf)]
    throw unsupported(fields, 'general.architecture', architecture, oneOf(known))
  }
  const isBitnetBody = body.classes && tensors.has('blk.0.attn_q_norm_in.weight')
  return isBitnetBody ? withInputNorms(body.graph) : { ...body.graph, linear }
}

function oneOf(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`)
  return `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
}

/**
 * `use_rms_norm` of transformers puts a norm before each packed projection, with an epsilon of its own.
 *
 * @throws FormatError if the norms are not there, or of another epsilon than all others
 */
function checkProjectionNorms(
  fields: ConfigFields,
  quantization: JsonObject,
  hasNorms: boolean,
): void {
  if (quantization['use_rms_norm'] !== true) return
  refuse(fields, 'use_rms_norm', !hasNorms, 'a norm before each projection, of which there is none')
  const eps = quantization['rms_norm_eps'] ?? 1e-6
  const isOther = eps !== fields.get('rms_norm_eps')
  refuse(fields, 'rms_norm_eps', isOther, `another epsilon for some norms, ${describe(eps)}`)
}

/** A body whose projections are BitLinears with a norm each: the BitNet embedding models. */
function withInputNorms(body: Omit<Family, 'linear'>): Family {
  return { ...body, linear: 'ternary', inputNorms: true, subNorms: true }
}

/** Gemma calls its own by the name of PyTorch's approximation, in a key of its own. */
function hiddenActivation(fields: ConfigFields, fallback: Family['activation']) {
  const key = fallback === 'gelu' ? 'hidden_activation' : 'hidden_act'
  const name = readString(fields, key, fallback)
  if (name === 'relu2' || name === 'silu') return name
  if (fallback === 'gelu' && (name === 'gelu' || name === 'gelu_pytorch_tanh')) return 'gelu'
  const expected = fallback === 'gelu' ? '"gelu_pytorch_tanh"' : '"relu2" or "silu"'
  throw unsupported(fields, key, name ?? '', expected)
}
