/**
 * Opens a model as Hugging Face lays it out in a folder, wherever that folder is: on disk, or on a
 * server that hands out parts of files. One .gguf file, or one or several safetensors files with
 * config.json and the tokenizer's files beside them.
 */
import { isObject, type JsonObject, messageOf } from '../checks.ts'
import { FormatError, ModelNotFoundError } from '../errors.ts'
import { takingTurns } from '../turns.ts'
import { foreignContent } from './foreign-content.ts'
import { isGgufName, joinParts, parseGguf, partCount, partNames } from './gguf/index.ts'
import { MAX_JSON_MARKS, MAX_VOCABULARY_MARKS, parseJsonSteps } from './json-text.ts'
import type {
  ByteSource,
  GgufFile,
  OpenedModel,
  TensorInfo,
  TokenizerFiles,
  UnreadTensor,
} from './model-file.ts'
import { parseSafetensors } from './safetensors/index.ts'

const WEIGHTS = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'
/** Beside weights, transformers adds what it names to them. */
const ADAPTER = 'adapter_config.json'

/** Gemma's tokenizer.json has 33 MB; nothing beside a checkpoint is larger. */
const MAX_SIDE_FILE_BYTES = 128 << 20
/** What is no vocabulary is far smaller: an index of 90,000 tensors has 9 MB. */
const MAX_SMALL_FILE_BYTES = 16 << 20
const VOCABULARIES: readonly string[] = [
  'tokenizer.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
]
/** The largest models come in under 200 shards. */
const MAX_SHARDS = 1024

/** @throws FormatError if a file beside a checkpoint has more bytes than any needs */
export function checkSideFileSize(path: string, size: number): void {
  const field = path.replace(/^.*[\\/]/, '')
  const most = VOCABULARIES.includes(field) ? MAX_SIDE_FILE_BYTES : MAX_SMALL_FILE_BYTES
  if (size <= most) return
  throw new FormatError(`Expected at most ${most} bytes in ${path}, got ${size}.`, { field, path })
}

/** A folder on disk or on a server. */
export interface ModelFolder {
  /** For messages: a path or an address. */
  readonly name: string
  /** Names of the files in it, without folders. */
  list(): Promise<readonly string[]>
  /** Path or address of a file in it, for messages. */
  pathOf(file: string): string
  open(file: string): Promise<ByteSource>
  /**
   * A whole small file, or undefined if there is none of this name.
   *
   * @throws FormatError as {@link checkSideFileSize} does
   */
  read(file: string): Promise<Uint8Array | undefined>
}

/**
 * @throws ModelNotFoundError if nothing usable is there; it says what was looked for
 * @throws FormatError if what is there is damaged
 */
export async function openModelFolder(folder: ModelFolder): Promise<OpenedModel> {
  const names = await folder.list()
  if (names.includes(ADAPTER)) {
    throw new FormatError(
      `Expected a whole model in the folder ${folder.name}, got an adapter: ${ADAPTER} changes what its ` +
        'model computes. Merge the two (bitnet convert ADAPTER FOLDER, or PEFT), or remove it if it is not in use.',
      { field: ADAPTER, path: folder.name },
    )
  }
  if (names.includes(WEIGHTS)) return openCheckpoint(folder, folder.name, [WEIGHTS])
  if (names.includes(INDEX)) {
    const { shards, shardOf } = await readIndex(folder)
    return openCheckpoint(folder, folder.name, shards, shardOf)
  }
  const shard = names.find((name) => name.endsWith('.safetensors') && partNames(name))
  if (shard !== undefined) return openShardIn(folder, shard)
  const ggufs = names.filter((name) => isGgufName(name)).sort()
  const [model, ...others] = new Set(ggufs.map((name) => partNames(name)?.[0] ?? name))
  if (model !== undefined && others.length === 0) {
    return { file: await openGgufIn(folder, ggufs[0]), tokenizerFiles: {} }
  }
  const several =
    ggufs.length > 1 ? ` It has ${ggufs.length} .gguf files; name one: ${ggufs.join(', ')}.` : ''
  throw new ModelNotFoundError(
    `Expected ${WEIGHTS}, ${INDEX} or one .gguf file in the folder ${folder.name}, found none of ` +
      `them.${several}`,
    { source: folder.name },
  )
}

/**
 * A GGUF file of a folder, with all other parts of its model if it is one of several.
 *
 * @throws FormatError | ModelNotFoundError
 */
export async function openGgufIn(folder: ModelFolder, name: string): Promise<GgufFile> {
  const own = await parseOrClose(await folder.open(name))
  if (partCount(own) === 1) return own
  const opened = [own]
  try {
    const names = partNames(name)
    if (names === undefined) throw partAlone(own)
    requireAll(folder, names, await folder.list())
    const parts: GgufFile[] = []
    for (const part of names) {
      const file = part === name ? own : await parseOrClose(await folder.open(part))
      if (file !== own) opened.push(file)
      parts.push(file)
    }
    return joinParts(parts)
  } catch (error) {
    for (const file of opened) await file.close()
    throw error
  }
}

/** @throws ModelNotFoundError naming parts that are not there */
function requireAll(
  folder: ModelFolder,
  parts: readonly string[],
  there: readonly string[],
): readonly string[] {
  const missing = parts.filter((part) => !there.includes(part))
  if (missing.length === 0) return parts
  throw new ModelNotFoundError(
    `Expected all ${parts.length} parts of the model in ${folder.name}, found no ` +
      `${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', ...' : ''}. Fetch it as well.`,
    { source: folder.name },
  )
}

/** Parses a GGUF file's header; closes the source if that fails, or if the file is a part of several. */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  const file = await parseOrClose(source)
  if (partCount(file) === 1) return file
  await file.close()
  throw partAlone(file)
}

async function parseOrClose(source: ByteSource): Promise<GgufFile> {
  try {
    return await parseGguf(source)
  } catch (error) {
    await source.close()
    throw error
  }
}

function partAlone(file: GgufFile): FormatError {
  const number = Number(file.metadata.get('split.no') ?? 0) + 1
  return new FormatError(
    `Expected a whole model, got part ${number} of ${partCount(file)} in ${file.name}. Put all parts into ` +
      'one folder under names such as model-00001-of-00002.gguf, and name the first.',
    { field: 'split.count', path: file.name },
  )
}

interface ShardIndex {
  /** Each once. */
  readonly shards: readonly string[]
  /** The shard of each tensor. */
  readonly shardOf: ReadonlyMap<string, string>
}

async function readIndex(folder: ModelFolder): Promise<ShardIndex> {
  const path = folder.pathOf(INDEX)
  const index = await readJson(folder, INDEX)
  const map = index?.['weight_map']
  const shardOf = new Map<string, string>()
  for (const [tensor, name] of isObject(map) ? Object.entries(map) : []) {
    // A shard lies in the same folder; anything else would lead the reader elsewhere.
    if (typeof name !== 'string' || !/^[^/\\]+\.safetensors$/.test(name)) {
      throw new FormatError(
        `Expected file names ending in .safetensors in the weight_map of ${path}, got something ` +
          'else. Fetch the file again.',
        { field: 'weight_map', path },
      )
    }
    shardOf.set(tensor, name)
  }
  const shards = [...new Set(shardOf.values())].sort()
  if (shards.length === 0 || shards.length > MAX_SHARDS) {
    throw new FormatError(
      `Expected 1 to ${MAX_SHARDS} files in the weight_map of ${path}, got ${shards.length}.`,
      { field: 'weight_map', path },
    )
  }
  return { shards, shardOf }
}

/** A .safetensors file of a folder, with all other shards of its model if it is one of several. */
export async function openShardIn(folder: ModelFolder, name: string): Promise<OpenedModel> {
  const path = folder.pathOf(name)
  const names = await folder.list()
  if (name === WEIGHTS || !names.includes(INDEX)) {
    // Without an index the names tell which others there are.
    return openCheckpoint(folder, path, requireAll(folder, partNames(name) ?? [name], names))
  }
  const { shards, shardOf } = await readIndex(folder)
  if (!shards.includes(name)) return openCheckpoint(folder, path, [name])
  return openCheckpoint(folder, path, shards, shardOf)
}

/**
 * Opens safetensors files of a folder as one model.
 *
 * @param name of the model, for messages
 * @param shardOf where each tensor is, by the index: a copy elsewhere is an older one
 */
async function openCheckpoint(
  folder: ModelFolder,
  name: string,
  shards: readonly string[],
  shardOf: ReadonlyMap<string, string> = new Map(),
): Promise<OpenedModel> {
  const config = await readJson(folder, 'config.json')
  if (config === undefined) {
    throw new ModelNotFoundError(
      `Expected config.json beside ${shards[0]} in ${folder.name}, found none. It holds the ` +
        "model's sizes; fetch it from where the weights came from.",
      { source: name },
    )
  }
  const sources: ByteSource[] = []
  const close = async () => {
    for (const source of sources) await source.close()
  }
  try {
    const tensors = new Map<string, TensorInfo>()
    const unread = new Map<string, UnreadTensor>()
    for (const shard of shards) {
      const source = await folder.open(shard)
      sources.push(source)
      const parsed = await parseSafetensors(source)
      const add = <T extends { readonly name: string }>(found: Iterable<T>, to: Map<string, T>) => {
        for (const tensor of found) {
          if ((shardOf.get(tensor.name) ?? shard) !== shard) continue
          if (tensors.has(tensor.name) || unread.has(tensor.name)) throw twice(tensor.name, source)
          to.set(tensor.name, tensor)
        }
      }
      add(parsed.tensors.values(), tensors)
      add(parsed.unread.values(), unread)
    }
    for (const [tensor, shard] of shardOf) {
      if (tensors.has(tensor) || unread.has(tensor)) continue
      const path = folder.pathOf(shard)
      throw new FormatError(
        `Expected tensor "${tensor}" in ${path}, as the index says, found none. Fetch the file again.`,
        { field: tensor, path },
      )
    }
    return {
      file: { format: 'safetensors', name, config, tensors, unread, close },
      tokenizerFiles: await readTokenizerFiles(folder),
    }
  } catch (error) {
    await close()
    throw error
  }
}

function twice(tensor: string, { name }: ByteSource): FormatError {
  return new FormatError(`Expected tensor "${tensor}" in one file, found it again in ${name}.`, {
    field: tensor,
    path: name,
  })
}

async function readTokenizerFiles(folder: ModelFolder): Promise<TokenizerFiles> {
  const [
    tokenizerJson,
    tokenizerConfig,
    generationConfig,
    specialTokensMap,
    chatTemplate,
    tokenizerModel,
    addedTokens,
  ] = await Promise.all([
    readJson(folder, 'tokenizer.json'),
    readJson(folder, 'tokenizer_config.json'),
    readJson(folder, 'generation_config.json'),
    readJson(folder, 'special_tokens_map.json'),
    readText(folder, 'chat_template.jinja'),
    readSideFile(folder, 'tokenizer.model'),
    readJson(folder, 'added_tokens.json'),
  ])
  const files = {
    tokenizerConfig,
    generationConfig,
    specialTokensMap,
    chatTemplate,
    tokenizerModel,
    addedTokens,
  }
  if (tokenizerJson !== undefined) return { ...files, tokenizerJson }
  if (tokenizerModel !== undefined) return files
  const [vocabJson, mergesText] = await Promise.all([
    readJson(folder, 'vocab.json'),
    readText(folder, 'merges.txt'),
  ])
  return { ...files, vocabJson, mergesText }
}

/** A JSON object, or undefined if there is no such file. */
async function readJson(folder: ModelFolder, file: string): Promise<JsonObject | undefined> {
  const bytes = await readSideFile(folder, file)
  if (bytes === undefined) return undefined
  const marks = VOCABULARIES.includes(file) ? MAX_VOCABULARY_MARKS : MAX_JSON_MARKS
  let value: unknown
  try {
    value = await takingTurns(parseJsonSteps(bytes, marks))
  } catch (cause) {
    throw notOf(messageOf(cause), folder, file, cause)
  }
  if (isObject(value)) return value
  throw notOf('a JSON object, got something else', folder, file)
}

async function readText(folder: ModelFolder, file: string): Promise<string | undefined> {
  const bytes = await readSideFile(folder, file)
  if (bytes === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw notOf('UTF-8 text, got something else', folder, file, cause)
  }
}

/** @throws FormatError for what lies there in place of a file that was not fetched */
async function readSideFile(folder: ModelFolder, file: string): Promise<Uint8Array | undefined> {
  const bytes = await folder.read(file)
  const foreign = bytes && foreignContent(bytes, 'text')
  if (!foreign) return bytes
  const path = folder.pathOf(file)
  throw new FormatError(`Expected ${file}, got something else in ${path}.${foreign}`, {
    field: file,
    path,
  })
}

function notOf(expected: string, folder: ModelFolder, file: string, cause?: unknown): FormatError {
  const path = folder.pathOf(file)
  return new FormatError(`Expected ${expected}, in ${path}.`, { field: file, path, cause })
}
