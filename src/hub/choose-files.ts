/**
 * Which files of a repository make a model that runs here. What loads fastest goes first: I2_S, whose
 * bytes the kernels unpack themselves, then other ternary GGUF types, then safetensors, then GGUF files
 * whose name does not say that they are ternary.
 */
import { isObject } from '../checks.ts'
import { ModelNotFoundError } from '../errors.ts'
import { isGgufName, partNames } from '../formats/gguf/index.ts'

export interface ChosenFiles {
  /** The file to open, or undefined if the folder as a whole is the model. */
  readonly main: string | undefined
  /** All paths to fetch, small ones first so that a mistake shows early. */
  readonly paths: readonly string[]
  /** For people: "ggml-model-i2_s.gguf: I2_S, which loads fastest". */
  readonly reason: string
  /** Path of the index that says which shards there are; see {@link withShards}. */
  readonly index?: string
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
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'added_tokens.json',
]
const WEIGHTS = 'model.safetensors'
const SHARD_INDEX = 'model.safetensors.index.json'
const SHARD = /-(\d+)-of-(\d+)\.safetensors$/

/** Markers in a GGUF file's name, best first. */
const GGUF_TYPES: readonly { readonly pattern: RegExp; readonly name: string }[] = [
  { pattern: /i2[_-]?s/i, name: 'I2_S, which loads fastest' },
  { pattern: /tq2[_-]?0/i, name: 'TQ2_0, ternary at 2 bits' },
  { pattern: /tq1[_-]?0/i, name: 'TQ1_0, ternary at 1.7 bits' },
  { pattern: /q[12][_-]?0/i, name: 'one or two bits a weight' },
]
/**
 * What is no model of text that can be read: layouts that say nothing about themselves (TL1, TL2), types
 * that are not read, and files of other kinds that end in .gguf as well.
 */
const UNREADABLE = new RegExp(
  '(^|[^a-z0-9])(tl[12]|q[2358]_k\\w*|q4_k_s|q4_0_[48]_[48]|q[458]_1|iq\\d\\w*|mxfp4\\w*|nvfp4\\w*|mmproj|clip|' +
    'projector|imatrix|importance|ggml-vocab|vocab|lora|adapter|draft|eagle\\d?|mtp|control-?vector)' +
    '([^a-z0-9]|$)|imatrix',
  'i',
)

/**
 * @param name the repository's, for messages
 * @param wanted the file that was asked for; unset: the best
 * @throws ModelNotFoundError if nothing in it can be run, or the wanted file is not there
 */
export function chooseFiles(files: readonly Listed[], name: string, wanted?: string): ChosenFiles {
  if (wanted !== undefined) return chooseWanted(files, name, wanted)
  const ggufs = wholeGgufs(files)
    .filter(({ path }) => !UNREADABLE.test(nameOf(path)))
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

/** GGUF models: of one that was split, its first part stands for all, if all are there. */
function wholeGgufs(files: readonly Listed[]): Listed[] {
  const sizes = new Map(files.map(({ path, size }) => [path, size]))
  return files.flatMap(({ path, size }) => {
    if (!isGgufName(path)) return []
    const parts = partPaths(path)
    if (parts === undefined) return [{ path, size }]
    if (parts[0] !== path || !parts.every((part) => sizes.has(part))) return []
    return [{ path, size: parts.reduce((sum, part) => sum + (sizes.get(part) ?? 0), 0) }]
  })
}

/** Paths of all parts of the model that a file belongs to; undefined if it is none of several. */
function partPaths(path: string): string[] | undefined {
  return partNames(nameOf(path))?.map((name) => folderOf(path) + name)
}

function chooseWanted(files: readonly Listed[], name: string, wanted: string): ChosenFiles {
  const wrong = (text: string) =>
    new ModelNotFoundError(`${text} ${describeModels(files)}`, { source: `${name}:${wanted}` })
  const paths = files.map(({ path }) => path)
  if (!paths.includes(wanted)) {
    throw wrong(`Expected the file ${wanted} in ${name}, which has no such file.`)
  }
  if (isGgufName(wanted)) {
    const missing = partPaths(wanted)?.find((part) => !paths.includes(part))
    if (missing === undefined) return oneFile(wanted)
    throw wrong(`Expected all parts of ${wanted} in ${name}, which has no ${missing}.`)
  }
  const folder = folderOf(wanted)
  if (wanted.endsWith(SHARD_INDEX) || SHARD.test(wanted)) {
    const others = files.filter(({ path }) => path !== folder + WEIGHTS)
    const checkpoint = chooseCheckpoint(others, folder)
    if (checkpoint !== undefined) return checkpoint
  }
  if (!wanted.endsWith('.safetensors')) {
    throw wrong(`Expected a .gguf or .safetensors file, got ${wanted} of ${name}.`)
  }
  return {
    main: wanted,
    paths: [...sideFiles(files, folder), wanted],
    reason: `${wanted}: as asked`,
  }
}

/** @param folder where the weights are: empty, or ending in "/" */
function chooseCheckpoint(files: readonly Listed[], folder = ''): ChosenFiles | undefined {
  const here = files.map(({ path }) => path).filter((path) => folderOf(path) === folder)
  if (!here.includes(`${folder}config.json`)) return undefined
  if (folder === '' && here.includes(WEIGHTS)) {
    return {
      main: undefined,
      paths: [...sideFiles(files), WEIGHTS],
      reason: `${WEIGHTS}: safetensors; there is no ternary GGUF file`,
    }
  }
  const index = folder + SHARD_INDEX
  const shards = here.filter((path) => SHARD.test(path)).sort()
  // An upload that was not finished lacks some of them.
  const totals = new Set(shards.map((path) => Number(SHARD.exec(path)?.[2])))
  const isIncomplete = totals.size === 1 && !totals.has(shards.length)
  const hasWeights = here.some((path) => path.endsWith('.safetensors'))
  if (!here.includes(index) || !hasWeights || isIncomplete) return undefined
  return {
    // Any shard leads to the others of its folder.
    main: folder === '' ? undefined : shards[0],
    paths: [...sideFiles(files, folder), index, ...shards],
    reason: `${shards.length} safetensors files; there is no ternary GGUF file`,
    index,
  }
}

/**
 * The same with the shards that the index names, whatever they are called and whatever else lies there.
 *
 * @param index what the index holds, as JSON
 * @throws ModelNotFoundError if one of them is not in the repository
 */
export function withShards(
  { index = '', ...chosen }: ChosenFiles,
  json: unknown,
  files: readonly Listed[],
  name: string,
): ChosenFiles {
  const map = isObject(json) ? json['weight_map'] : undefined
  const names = new Set(isObject(map) ? Object.values(map) : [])
  const shards = [...names].filter((one) => typeof one === 'string' && isShardName(one)).sort()
  const folder = folderOf(index)
  const paths = shards.map((shard) => `${folder}${shard}`)
  const missing = paths.find((path) => !files.some((file) => file.path === path))
  if (missing !== undefined || paths.length === 0) {
    throw new ModelNotFoundError(
      `Expected the files that ${index} names in ${name}, which has no ${missing ?? 'such file'}. ` +
        `The upload may not be finished. ${describeModels(files)}`,
      { source: name },
    )
  }
  return {
    main: chosen.main === undefined ? undefined : paths[0],
    paths: [...sideFiles(files, folder), index, ...paths],
    reason: `${paths.length} safetensors files; there is no ternary GGUF file`,
  }
}

/** A shard lies beside its index. */
function isShardName(name: string): boolean {
  return /^[^/\\]+\.safetensors$/.test(name)
}

/** @param folder where the weights are: empty, or ending in "/" */
function sideFiles(files: readonly Listed[], folder = ''): string[] {
  return SIDE_FILES.map((name) => folder + name).filter((wanted) =>
    files.some(({ path }) => path === wanted),
  )
}

function oneFile(path: string): ChosenFiles {
  const type = GGUF_TYPES[rankOf(path)]?.name ?? 'the only kind of weights there'
  return { main: path, paths: partPaths(path) ?? [path], reason: `${path}: ${type}` }
}

function rankOf(path: string): number {
  const rank = GGUF_TYPES.findIndex(({ pattern }) => pattern.test(nameOf(path)))
  return rank < 0 ? GGUF_TYPES.length : rank
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Empty, or ending in "/". */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}

function depth(path: string): number {
  return path.split('/').length
}

function nothingToRun(files: readonly Listed[], name: string): ModelNotFoundError {
  const unreadable = files.filter(({ path }) => isGgufName(path) && UNREADABLE.test(nameOf(path)))
  const unread =
    unreadable.length > 0
      ? ` Its GGUF files are of types that are not read, or no models of text; name one to try it all the same.`
      : ''
  const pickles = files.some(({ path }) => /\.(bin|pt|pth)$/.test(path))
  const hint = pickles
    ? ' It has PyTorch pickles only, which can run any program and are not read; look for a ' +
      'repository with the same model as safetensors or GGUF.'
    : ''
  return new ModelNotFoundError(
    `Expected a .gguf file, or config.json with model.safetensors or its index, in ${name}; it has ` +
      `none that can be run. ${describeModels(files)}${unread}${hint}`,
    { source: name },
  )
}

function describeModels(files: readonly Listed[]): string {
  const models = files.map(({ path }) => path).filter((path) => /\.(gguf|safetensors)$/i.test(path))
  if (models.length === 0) return 'There is no .gguf and no .safetensors file.'
  const shown = models.slice(0, 12).join(', ')
  return `There is ${shown}${models.length > 12 ? `, and ${models.length - 12} more` : ''}.`
}
