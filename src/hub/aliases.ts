/**
 * Short names of well-known ternary models. Sizes are those of the files that are fetched, published
 * or derived from the models' shapes; they are for people, nothing is computed from them.
 */

export interface ModelAlias {
  readonly name: string
  /** "owner/name" at the hub. */
  readonly repo: string
  /** About what is downloaded, in bytes; undefined where it is not known beforehand. */
  readonly bytes?: number
  readonly licence: string
  /** Tokens of context. */
  readonly context: number
  /** What it is for. */
  readonly kind: 'chat' | 'base' | 'embedding'
}

const TII = 'Falcon LLM'

export const MODEL_ALIASES: readonly ModelAlias[] = [
  {
    name: 'bitnet-2b',
    repo: 'microsoft/bitnet-b1.58-2B-4T-gguf',
    bytes: 1_187_801_280,
    licence: 'MIT',
    context: 4096,
    kind: 'chat',
  },
  falconE('1b', 'chat', 666_324_256),
  falconE('1b', 'base', 666_324_256),
  falconE('3b', 'chat', 999e6),
  falconE('3b', 'base', 999e6),
  falcon3('1b', 1.36e9, 8192),
  falcon3('3b', 2.22e9, 4096),
  falcon3('7b', 3.27e9, 8192),
  falcon3('10b', 3.99e9, 32_768),
  {
    name: 'llama3-8b-1.58',
    repo: 'HF1BitLLM/Llama3-8B-1.58-100B-tokens',
    bytes: 3.85e9,
    licence: 'Llama 3',
    context: 8192,
    kind: 'base',
  },
  oneBit('large'),
  oneBit('xl'),
  oneBit('3B'),
  embedding('270m', 367e6),
  embedding('0.6b', 428e6),
]

function falconE(size: string, kind: 'chat' | 'base', bytes: number): ModelAlias {
  const repo = `tiiuae/Falcon-E-${size.toUpperCase()}-${kind === 'chat' ? 'Instruct' : 'Base'}-GGUF`
  const name = `falcon-e-${size}${kind === 'chat' ? '' : '-base'}`
  return { name, repo, bytes, licence: TII, context: 32_768, kind }
}

/** The first models of the paper, trained again by others. */
function oneBit(size: string): ModelAlias {
  const repo = `1bitLLM/bitnet_b1_58-${size}`
  return { name: `bitnet-${size.toLowerCase()}`, repo, licence: 'MIT', context: 2048, kind: 'base' }
}

function embedding(size: string, bytes: number): ModelAlias {
  const name = `bitnet-embedding-${size}`
  const repo = `microsoft/${name}`
  return { name, repo, bytes, licence: 'MIT', context: 32_768, kind: 'embedding' }
}

/** The instruction-tuned model of one size. */
function falcon3(size: string, bytes: number, context: number): ModelAlias {
  const repo = `tiiuae/Falcon3-${size.toUpperCase()}-Instruct-1.58bit`
  return { name: `falcon3-${size}`, repo, bytes, licence: TII, context, kind: 'chat' }
}

/** The alias of this name, whatever its case. */
export function findAlias(name: string): ModelAlias | undefined {
  const wanted = name.toLowerCase()
  return MODEL_ALIASES.find((alias) => alias.name === wanted)
}
