/**
 * Which files of a repository make a model that runs here. What loads fastest goes first: I2_S, whose
 * bytes the kernels unpack themselves, then other ternary GGUF types, then safetensors, then GGUF files
 * whose name does not say that they are ternary.
 */
import { ModelNotFoundError } from '../errors.ts'

export interface ChosenFiles {
  /** The file to open, or undefined if the folder as a whole is the model. */
  readonly main: string | undefined
  /** All paths to fetch, small ones first so that a mistake shows early. */
  readonly paths: readonly string[]
  /** For people: "ggml-model-i2_s.gguf: I2_S, which loads fastest". */
  readonly reason: string
}

interface Listed {
  readonly path: string
  readonly size: number
}

/** Beside safetensors; only config.json is needed. */
const SIDE_FILES: readonly string[] = [
  'config.json',
  'generation_config.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'tokenizer.json',
  'tokenizer.model',
]
const WEIGHTS = 'model.safetensors'
export const SHARD_INDEX = 'model.safetensors.index.json'
const SHARD = /^model-\d{5}-of-(\d{5})\.safetensors$/

/** Markers in a GGUF file's name, best first. */
const GGUF_TYPES: readonly { readonly pattern: RegExp; readonly name: string }[] = [
  { pattern: /i2[_-]?s/i, name: 'I2_S, which loads fastest' },
  { pattern: /tq2[_-]?0/i, name: 'TQ2_0, ternary at 2 bits' },
  { pattern: /tq1[_-]?0/i, name: 'TQ1_0, ternary at 1.7 bits' },
  { pattern: /q[12][_-]?0/i, name: 'one or two bits a weight' },
]
/** Layouts that say nothing about themselves (TL1, TL2), projectors, and one part of several. */
const UNREADABLE = /(^|[^a-z0-9])tl[12]([^a-z0-9]|$)|mmproj|-\d{5}-of-\d{5}\.gguf$/i

/**
 * @param name the repository's, for messages
 * @param wanted the file that was asked for; unset: the best
 * @throws ModelNotFoundError if nothing in it can be run, or the wanted file is not there
 */
export function chooseFiles(files: readonly Listed[], name: string, wanted?: string): ChosenFiles {
  if (wanted !== undefined) return chooseWanted(files, name, wanted)
  const ggufs = files
    .filter(({ path }) => path.endsWith('.gguf') && !UNREADABLE.test(path))
    .map((file) => ({ ...file, rank: rankOf(file.path) }))
    // Of equals the one nearest to the top, then the smallest.
    .sort((a, b) => a.rank - b.rank || depth(a.path) - depth(b.path) || a.size - b.size)
  const best = ggufs.at(0)
  if (best !== undefined && best.rank < GGUF_TYPES.length) return oneFile(best.path)
  const checkpoint = chooseCheckpoint(files)
  if (checkpoint !== undefined) return checkpoint
  if (best !== undefined) return oneFile(best.path)
  throw nothingToRun(files, name)
}

function chooseWanted(files: readonly Listed[], name: string, wanted: string): ChosenFiles {
  const wrong = (text: string) =>
    new ModelNotFoundError(`${text} ${describeModels(files)}`, { source: `${name}:${wanted}` })
  if (!files.some(({ path }) => path === wanted)) {
    throw wrong(`Expected the file ${wanted} in ${name}, which has no such file.`)
  }
  if (wanted.endsWith('.gguf')) return oneFile(wanted)
  if (wanted === SHARD_INDEX || SHARD.test(wanted)) {
    const checkpoint = chooseCheckpoint(files.filter(({ path }) => path !== WEIGHTS))
    if (checkpoint !== undefined) return checkpoint
  }
  if (!wanted.endsWith('.safetensors')) {
    throw wrong(`Expected a .gguf or .safetensors file, got ${wanted} of ${name}.`)
  }
  const folder = wanted.slice(0, wanted.lastIndexOf('/') + 1)
  const paths = [...sideFiles(files, folder), wanted]
  return { main: wanted, paths, reason: `${wanted}: as asked` }
}

function chooseCheckpoint(files: readonly Listed[]): ChosenFiles | undefined {
  const names = new Set(files.map(({ path }) => path))
  if (!names.has('config.json')) return undefined
  if (names.has(WEIGHTS)) {
    return {
      main: undefined,
      paths: [...sideFiles(files), WEIGHTS],
      reason: `${WEIGHTS}: safetensors; there is no ternary GGUF file`,
    }
  }
  const shards = [...names].filter((path) => SHARD.test(path)).sort()
  // An upload that was not finished lacks some of them.
  const expected = Number(SHARD.exec(shards[0] ?? '')?.[1])
  if (!names.has(SHARD_INDEX) || shards.length !== expected) return undefined
  return {
    main: undefined,
    paths: [...sideFiles(files), SHARD_INDEX, ...shards],
    reason: `${shards.length} safetensors files; there is no ternary GGUF file`,
  }
}

/** @param folder where the weights are: empty, or ending in "/" */
function sideFiles(files: readonly Listed[], folder = ''): string[] {
  return SIDE_FILES.map((name) => folder + name).filter((wanted) =>
    files.some(({ path }) => path === wanted),
  )
}

function oneFile(path: string): ChosenFiles {
  const type = GGUF_TYPES[rankOf(path)]?.name ?? 'the only kind of weights there'
  return { main: path, paths: [path], reason: `${path}: ${type}` }
}

function rankOf(path: string): number {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const rank = GGUF_TYPES.findIndex(({ pattern }) => pattern.test(name))
  return rank < 0 ? GGUF_TYPES.length : rank
}

function depth(path: string): number {
  return path.split('/').length
}

function nothingToRun(files: readonly Listed[], name: string): ModelNotFoundError {
  const pickles = files.some(({ path }) => /\.(bin|pt|pth)$/.test(path))
  const hint = pickles
    ? ' It has PyTorch pickles only, which can run any program and are not read; look for a ' +
      'repository with the same model as safetensors or GGUF.'
    : ''
  return new ModelNotFoundError(
    `Expected a .gguf file, or config.json with model.safetensors or its index, in ${name}; it has ` +
      `none that can be run. ${describeModels(files)}${hint}`,
    { source: name },
  )
}

function describeModels(files: readonly Listed[]): string {
  const models = files.map(({ path }) => path).filter((path) => /\.(gguf|safetensors)$/.test(path))
  if (models.length === 0) return 'There is no .gguf and no .safetensors file.'
  const shown = models.slice(0, 12).join(', ')
  return `There is ${shown}${models.length > 12 ? `, and ${models.length - 12} more` : ''}.`
}
