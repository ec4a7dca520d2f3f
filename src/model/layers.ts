/**
 * What a decoder is made of, said once: its tensors in the order in which they are used, each with its
 * shape, its names in files and the option of a body that adds it. Planning, loading, memory,
 * multiply-adds, random weights and names in conversions come from these tables; forward.ts says what is
 * computed with the parts. A new part is a row here and its use there.
 *
 * In a mixture, the stacks of the feed-forward are made of every expert's matrices in turn, each a part of its own;
 * GGUF has those of one name as one tensor of three dimensions (weights/weight-plan.ts). What does not exist yet has
 * its place: a bias is a row of another kind, as long as its matrix has rows.
 */
import type { ModelFile } from '../formats/model-file.ts'
import type { ModelConfig } from './config/config.ts'

/** The numbers that shapes depend on. */
type Sizes = Pick<
  ModelConfig,
  'dim' | 'headDim' | 'nHeads' | 'nKvHeads' | 'ffnDim' | 'vocabSize' | 'experts'
>
type Size = (sizes: Sizes) => number

const dim: Size = (sizes) => sizes.dim
const headDim: Size = (sizes) => sizes.headDim
const ffnDim: Size = (sizes) => sizes.ffnDim
const vocabSize: Size = (sizes) => sizes.vocabSize
/** All query heads side by side, as attention gives them too. */
const queryDim: Size = (sizes) => sizes.nHeads * sizes.headDim
const keyDim: Size = (sizes) => sizes.nKvHeads * sizes.headDim

const nExperts: Size = ({ experts }) => experts?.count ?? 0

/** Options of a body that add something to each layer: norms, or experts with their router. */
export type BodyOption = 'subNorms' | 'inputNorms' | 'headNorms' | 'postNorms' | 'experts'

/**
 * With an option before it: what is written for bodies that have it, the first that fits. All names of a row are
 * read, but for those with {@link EXPERT} in a model without experts, and those without in one with them.
 */
type Name = string | readonly [option: BodyOption | 'mixtral', name: string]

/** Stands for the number of an expert. */
const EXPERT = '{expert}'

/** One name, or several, the usual one first. */
type Names = string | readonly Name[]

interface Row<Stack = string | undefined, Option = BodyOption | undefined> {
  /** A router is a matrix that stays dense. */
  readonly kind: 'table' | 'linear' | 'norm' | 'router'
  /** A norm has one column. */
  readonly shape: readonly [rows: Size, cols: Size]
  /** Of projections: those that share an input are one matrix in memory, stacked in this order. */
  readonly stack: Stack
  /** Undefined: every body has it. */
  readonly addedBy: Option
  /** Without what stands for the layer before them and ".weight" behind. */
  readonly names: Readonly<Record<ModelFile['format'], Names>>
}

function norm<Option extends BodyOption | undefined = undefined>(
  length: Size,
  gguf: Names,
  safetensors: Names,
  addedBy?: Option,
): Row<undefined, Option> {
  const shape = [length, () => 1] as const
  const names = { gguf, safetensors }
  return { kind: 'norm', shape, stack: undefined, addedBy: addedBy as Option, names }
}

function linear<Stack extends string>(
  stack: Stack,
  shape: Row['shape'],
  gguf: Names,
  safetensors: Names,
): Row<Stack, undefined> {
  return { kind: 'linear', shape, stack, addedBy: undefined, names: { gguf, safetensors } }
}

/** A projection of the feed-forward, of which each expert has one. */
function ofExperts<Stack extends string>(
  stack: Stack,
  shape: Row['shape'],
  gguf: string,
  [llama, mixtral]: readonly [llama: string, mixtral: string],
): Row<Stack, undefined> {
  return linear(
    stack,
    shape,
    [gguf, ['experts', `${gguf}_exps${EXPERT}`], ['experts', `${gguf}.${EXPERT}`]],
    [
      `mlp.${llama}`,
      ['mixtral', `block_sparse_moe.experts.${EXPERT}.${mixtral}`],
      ['experts', `mlp.experts.${EXPERT}.${llama}`],
    ],
  )
}

function table(gguf: Names, safetensors: Names): Row<undefined, undefined> {
  const shape = [vocabSize, dim] as const
  const names = { gguf, safetensors }
  return { kind: 'table', shape, stack: undefined, addedBy: undefined, names }
}

/** A norm before one projection: of BitNet's embedding models, and of transformers (use_rms_norm). */
function ownNorm(projection: string): readonly Name[] {
  return [`${projection}.norm`, ['inputNorms', `${projection}.rms_norm`]]
}

const LAYER = {
  attentionNorm: norm(dim, 'attn_norm', 'input_layernorm'),
  queryInputNorm: norm(dim, 'attn_q_norm_in', ownNorm('self_attn.q_proj'), 'inputNorms'),
  query: linear('qkv', [queryDim, dim], 'attn_q', 'self_attn.q_proj'),
  queryHeadNorm: norm(headDim, 'attn_q_norm', 'self_attn.q_norm', 'headNorms'),
  keyInputNorm: norm(dim, 'attn_k_norm_in', ownNorm('self_attn.k_proj'), 'inputNorms'),
  key: linear('qkv', [keyDim, dim], 'attn_k', 'self_attn.k_proj'),
  keyHeadNorm: norm(headDim, 'attn_k_norm', 'self_attn.k_norm', 'headNorms'),
  valueInputNorm: norm(dim, 'attn_v_norm_in', ownNorm('self_attn.v_proj'), 'inputNorms'),
  value: linear('qkv', [keyDim, dim], 'attn_v', 'self_attn.v_proj'),
  /** Called as in BitNet 2B-4T, as in the 1bitLLM reproduction, or as any projection's norm. */
  attentionSubNorm: norm(
    queryDim,
    ['attn_sub_norm', ['inputNorms', 'attn_output_norm_in']],
    ['self_attn.attn_sub_norm', 'self_attn.inner_attn_ln', ...ownNorm('self_attn.o_proj')],
    'subNorms',
  ),
  output: linear('output', [dim, queryDim], 'attn_output', 'self_attn.o_proj'),
  /** Of what attention adds to the stream; its name is in other bodies that of the next norm. */
  attentionPostNorm: norm(dim, 'post_attention_norm', 'post_attention_layernorm', 'postNorms'),
  ffnNorm: norm(dim, 'ffn_norm', [
    ['postNorms', 'pre_feedforward_layernorm'],
    'post_attention_layernorm',
  ]),
  router: {
    kind: 'router',
    shape: [nExperts, dim],
    stack: undefined,
    addedBy: 'experts',
    names: {
      gguf: 'ffn_gate_inp',
      safetensors: [
        ['mixtral', 'block_sparse_moe.gate'],
        ['experts', 'mlp.gate'],
      ],
    },
  } as Row<undefined, 'experts'>,
  gateInputNorm: norm(dim, 'ffn_gate_norm_in', ownNorm('mlp.gate_proj'), 'inputNorms'),
  gate: ofExperts('gateUp', [ffnDim, dim], 'ffn_gate', ['gate_proj', 'w1']),
  upInputNorm: norm(dim, 'ffn_up_norm_in', ownNorm('mlp.up_proj'), 'inputNorms'),
  up: ofExperts('gateUp', [ffnDim, dim], 'ffn_up', ['up_proj', 'w3']),
  ffnSubNorm: norm(
    ffnDim,
    ['ffn_sub_norm', ['inputNorms', 'ffn_down_norm_in']],
    ['mlp.ffn_sub_norm', 'mlp.ffn_layernorm', ...ownNorm('mlp.down_proj')],
    'subNorms',
  ),
  down: ofExperts('down', [dim, ffnDim], 'ffn_down', ['down_proj', 'w2']),
  /** Of what the feed-forward adds to the stream. */
  ffnPostNorm: norm(dim, 'post_ffw_norm', 'post_feedforward_layernorm', 'postNorms'),
}

const MODEL = {
  embedding: table('token_embd', 'model.embed_tokens'),
  finalNorm: norm(dim, 'output_norm', 'model.norm'),
  head: table('output', 'lm_head'),
}

/** Rotation turns pairs of their rows, which files hold in two orders; see halfOrderRows. */
const ROTATED: readonly Role[] = ['query', 'key']

/** BitNet's norms multiply with what files hold, even where the body's do with 1 more. */
const NEVER_SHIFTED: readonly (BodyOption | undefined)[] = ['subNorms', 'inputNorms']

type Layer = typeof LAYER
export type LayerRole = keyof Layer
export type Role = keyof typeof MODEL | LayerRole

/** Matrices of a layer as they lie in memory. */
export type Stack = NonNullable<Layer[LayerRole]['stack']>

type NormRole<Option> = {
  [R in Exclude<LayerRole, 'router'>]: Layer[R] extends Row<undefined, infer O>
    ? O extends Option
      ? R
      : never
    : never
}[Exclude<LayerRole, 'router'>]

/** Something for each stack and each norm of a layer. */
export type LayerOf<Linear, Norm> = { readonly [S in Stack]: Linear } & {
  readonly [R in NormRole<undefined>]: Norm
} & { readonly [R in NormRole<BodyOption>]?: Norm | undefined }

/** One tensor of a decoder. */
export interface Part {
  readonly role: Role
  /** Counted from 0; undefined for parts of the whole model. */
  readonly layer: number | undefined
  /** `linear` is a projection, ternary in a ternary model; `table` the embedding or the head. */
  readonly kind: Row['kind']
  /** Which expert's, counted from 0; undefined for what all share. */
  readonly expert?: number | undefined
  /** Of projections. */
  readonly stack: Stack | undefined
  readonly rows: number
  /** 1 for a norm. */
  readonly cols: number
  readonly isRotated: boolean
  /** A norm that files of a config with `shiftedNorms` hold as what is added to 1. */
  readonly canShift: boolean
}

const ROWS: Readonly<Record<Role, Row<Stack | undefined>>> = { ...LAYER, ...MODEL }

/** Stacks in the order in which a pass reads them, as people call them. */
export const STACK_TITLES = {
  qkv: 'qkv',
  output: 'output',
  gateUp: 'gate and up',
  down: 'down',
} as const satisfies Record<Stack, string>

export const STACKS = Object.keys(STACK_TITLES) as readonly Stack[]
const LAYER_ROLES = Object.keys(LAYER) as readonly LayerRole[]
const NORM_ROLES = LAYER_ROLES.filter((role) => LAYER[role].kind === 'norm') as readonly (
  | NormRole<undefined>
  | NormRole<BodyOption>
)[]

/** Stacks of which each expert of a mixture has one. */
const EXPERT_STACKS: readonly (Stack | undefined)[] = ['gateUp', 'down']

/** How many matrices of each kind a stack has: one, or one an expert. */
export function expertsIn({ experts }: Pick<Sizes, 'experts'>, stack: Stack | undefined): number {
  return experts !== undefined && EXPERT_STACKS.includes(stack) ? experts.count : 1
}

/** All tensors of a decoder in the order in which they are used. */
export function partsOf(config: ModelConfig): Part[] {
  const part = (role: Role): Part => {
    const { kind, shape, stack, addedBy } = ROWS[role]
    const [rows, cols] = [shape[0](config), shape[1](config)]
    const isRotated = ROTATED.includes(role)
    const canShift = kind === 'norm' && !NEVER_SHIFTED.includes(addedBy)
    return { role, layer: undefined, kind, stack, rows, cols, isRotated, canShift }
  }
  const ofLayer = withExperts(config, LAYER_ROLES.filter((role) => hasPart(config, role)).map(part))
  const parts = [part('embedding')]
  for (let layer = 0; layer < config.nLayers; layer++) {
    for (const one of ofLayer) parts.push({ ...one, layer })
  }
  parts.push(part('finalNorm'))
  if (!config.tiedHead) parts.push(part('head'))
  return parts
}

/** The parts of a layer, those that experts have one after the other for each expert. */
function withExperts({ experts }: Sizes, parts: readonly Part[]): readonly Part[] {
  if (experts === undefined) return parts
  return parts.flatMap((part) => {
    if (!EXPERT_STACKS.includes(part.stack)) return [part]
    const stack = parts.filter((other) => other.stack === part.stack)
    if (part !== stack[0]) return []
    return Array.from({ length: experts.count }, (_, expert) =>
      stack.map((one) => ({ ...one, expert })),
    ).flat()
  })
}

/** (rows, cols) of a matrix, (length) of a norm, as files say. */
export function shapeOf({ kind, rows, cols }: Part): number[] {
  return kind === 'norm' ? [rows] : [rows, cols]
}

/** The matrices of a stack, or of one expert's, each with the rows of the stack before it. */
export function matricesOf(sizes: Sizes, stack: Stack) {
  let first = 0
  return LAYER_ROLES.filter((role) => LAYER[role].stack === stack).map((role) => {
    const [rows, cols] = LAYER[role].shape.map((size) => size(sizes))
    first += rows
    return { first: first - rows, rows, cols }
  })
}

/** The shape of matrices that are stacked. */
export function stackShape(parts: readonly { readonly rows: number; readonly cols: number }[]) {
  return { rows: parts.reduce((sum, { rows }) => sum + rows, 0), cols: parts[0].cols }
}

/** What there is for the stacks of a layer, in the order in which a pass reads them. */
export function stacksOf<Linear>(layer: LayerOf<Linear, unknown>): Linear[] {
  return STACKS.map((stack) => layer[stack])
}

/** What there is for the norms of a layer. */
export function normsOf<Norm>(layer: LayerOf<unknown, Norm>): Norm[] {
  return NORM_ROLES.map((role) => layer[role]).filter((norm) => norm !== undefined)
}

/** Names that a tensor may have in a file of the format, the usual one first. */
export function tensorNames(
  format: ModelFile['format'],
  { role, layer, expert }: Pick<Part, 'role'> & Partial<Part>,
): string[] {
  const full: string[] = []
  for (const own of namesOf(format, role)) {
    const name = typeof own === 'string' ? own : own[1]
    if (name.includes(EXPERT) !== (expert !== undefined)) continue
    const whole = fullName(format, name, layer, expert)
    full.push(whole)
    // Models without a head, of a class such as Qwen3Model, leave "model." out.
    if (whole.startsWith('model.')) full.push(whole.slice('model.'.length))
  }
  return full
}

/** The name that a tensor gets in a file of the format that is written. */
export function writtenName(
  format: ModelFile['format'],
  { role, layer, expert }: Part,
  config: ModelConfig,
): string {
  const names = namesOf(format, role)
  const ofBody = names.find((name) => typeof name !== 'string' && hasOption(config, name[0]))
  const name = ofBody ?? names.find((one) => typeof one === 'string') ?? names[0]
  return fullName(format, typeof name === 'string' ? name : name[1], layer, expert)
}

/** Mixtral's names are those of Llama's body with experts. */
function hasOption(config: ModelConfig, option: BodyOption | 'mixtral'): boolean {
  if (option !== 'mixtral') return config[option] !== undefined && config[option] !== false
  return config.experts !== undefined && !config.subNorms && !config.headNorms
}

function hasPart(config: ModelConfig, role: LayerRole): boolean {
  const { addedBy } = LAYER[role]
  return addedBy === undefined || hasOption(config, addedBy)
}

function namesOf(format: ModelFile['format'], role: Role): readonly Name[] {
  const names = ROWS[role].names[format]
  return typeof names === 'string' ? [names] : names
}

function fullName(
  format: ModelFile['format'],
  name: string,
  layer: number | undefined,
  expert: number | undefined,
): string {
  const prefix = format === 'gguf' ? 'blk' : 'model.layers'
  // GGUF has all experts' matrices of a name in one tensor.
  const own = name.replace(`_exps${EXPERT}`, '_exps').replace(EXPERT, `${expert}`)
  return layer === undefined ? `${own}.weight` : `${prefix}.${layer}.${own}.weight`
}
