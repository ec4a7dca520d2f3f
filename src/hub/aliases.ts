/**
 * Short names of well-known ternary models. Sizes are those of the files that are fetched, published
 * or derived from the models' shapes; they are for people, nothing is computed from them.
 */

export interface ModelAlias {
  readonly name: string
  /** "owner/name" at the hub. */
  readonly repo: string
  /** About what is downloaded, in bytes; undefined where it is not known beforehand. */
  readonly bytes: number | undefined
  readonly licence: string
  /** Tokens of context. */
  readonly context: number
  /** What it is for. */
  readonly kind: 'chat' | 'base' | 'embedding'
}

type Row = [
  name: string,
  repo: string,
  bytes: number | undefined,
  licence: string,
  context: number,
  kind: ModelAlias['kind'],
]

const TII = 'Falcon LLM'

const ROWS: readonly Row[] = [
  ['bitnet-2b', 'microsoft/bitnet-b1.58-2B-4T-gguf', 1_187_801_280, 'MIT', 4096, 'chat'],
  ['falcon-e-1b', 'tiiuae/Falcon-E-1B-Instruct-GGUF', 666_324_256, TII, 32_768, 'chat'],
  ['falcon-e-1b-base', 'tiiuae/Falcon-E-1B-Base-GGUF', 666_324_256, TII, 32_768, 'base'],
  ['falcon-e-3b', 'tiiuae/Falcon-E-3B-Instruct-GGUF', 999e6, TII, 32_768, 'chat'],
  ['falcon-e-3b-base', 'tiiuae/Falcon-E-3B-Base-GGUF', 999e6, TII, 32_768, 'base'],
  ['falcon3-1b', 'tiiuae/Falcon3-1B-Instruct-1.58bit', 1.36e9, TII, 8192, 'chat'],
  ['falcon3-3b', 'tiiuae/Falcon3-3B-Instruct-1.58bit', 2.22e9, TII, 4096, 'chat'],
  ['falcon3-7b', 'tiiuae/Falcon3-7B-Instruct-1.58bit', 3.27e9, TII, 8192, 'chat'],
  ['falcon3-10b', 'tiiuae/Falcon3-10B-Instruct-1.58bit', 3.99e9, TII, 32_768, 'chat'],
  ['llama3-8b-1.58', 'HF1BitLLM/Llama3-8B-1.58-100B-tokens', 3.85e9, 'Llama 3', 8192, 'base'],
  // The first models of the paper, trained again by others.
  ['bitnet-large', '1bitLLM/bitnet_b1_58-large', undefined, 'MIT', 2048, 'base'],
  ['bitnet-xl', '1bitLLM/bitnet_b1_58-xl', undefined, 'MIT', 2048, 'base'],
  ['bitnet-3b', '1bitLLM/bitnet_b1_58-3B', undefined, 'MIT', 2048, 'base'],
  ['bitnet-embedding-270m', 'microsoft/bitnet-embedding-270m', 367e6, 'MIT', 32_768, 'embedding'],
  ['bitnet-embedding-0.6b', 'microsoft/bitnet-embedding-0.6b', 428e6, 'MIT', 32_768, 'embedding'],
]

export const MODEL_ALIASES: readonly ModelAlias[] = ROWS.map(
  ([name, repo, bytes, licence, context, kind]) => ({ name, repo, bytes, licence, context, kind }),
)

/** The alias of this name, whatever its case. */
export function findAlias(name: string): ModelAlias | undefined {
  const wanted = name.toLowerCase()
  return MODEL_ALIASES.find((alias) => alias.name === wanted)
}
