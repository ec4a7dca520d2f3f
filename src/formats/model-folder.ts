/**
 * Opens a model as Hugging Face lays it out in a folder, wherever that folder is: on disk, or on a
 * server that hands out parts of files. One .gguf file, or one or several safetensors files with
 * config.json and the tokenizer's files beside them.
 */
import { isObject, type JsonObject } from '../checks.ts'
import { FormatError, ModelNotFoundError } from '../errors.ts'
import { parseGguf } from './gguf/index.ts'
import type { ByteSource, GgufFile, OpenedModel, TensorInfo, TokenizerFiles } from './model-file.ts'
import { parseSafetensors } from './safetensors/index.ts'

const WEIGHTS = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'

/** Gemma's tokenizer.json has 33 MB; nothing beside a checkpoint is larger. */
const MAX_SIDE_FILE_BYTES = 128 << 20
/** The largest models come in under 200 shards. */
const MAX_SHARDS = 1024

/** @throws FormatError if a file beside a checkpoint has more bytes than any needs */
export function checkSideFileSize(path: string, size: number): void {
  if (size <= MAX_SIDE_FILE_BYTES) return
  throw new FormatError(`Expected at most ${MAX_SIDE_FILE_BYTES} bytes in ${path}, got ${size}.`, {
    field: path.replace(/^.*[\\/]/, ''),
    path,
  })
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
  if (names.includes(WEIGHTS)) return openCheckpoint(folder, folder.name, [WEIGHTS])
  if (names.includes(INDEX)) return openCheckpoint(folder, folder.name, await readIndex(folder))
  const ggufs = names.filter((name) => name.endsWith('.gguf'))
  if (ggufs.length === 1) {
    return { file: await openGguf(await folder.open(ggufs[0])), tokenizerFiles: {} }
  }
  const several =
    ggufs.length > 1 ? ` It has ${ggufs.length} .gguf files; name one: ${ggufs.join(', ')}.` : ''
  throw new ModelNotFoundError(
    `Expected ${WEIGHTS}, ${INDEX} or one .gguf file in the folder ${folder.name}, found none of ` +
      `them.${several}`,
    { source: folder.name },
  )
}

/** Parses a GGUF file's header; closes the source if that fails. */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  try {
    return await parseGguf(source)
  } catch (error) {
    await source.close()
    throw error
  }
}

/** The shards named by an index, each once. */
async function readIndex(folder: ModelFolder): Promise<string[]> {
  const path = folder.pathOf(INDEX)
  const index = await readJson(folder, INDEX)
  const map = index?.['weight_map']
  const names = new Set(typeof map === 'object' && map !== null ? Object.values(map) : [])
  const shards: string[] = []
  for (const name of names) {
    // A shard lies in the same folder; anything else would lead the reader elsewhere.
    if (typeof name !== 'string' || !/^[^/\\]+\.safetensors$/.test(name)) {
      throw new FormatError(
        `Expected file names ending in .safetensors in the weight_map of ${path}, got something ` +
          'else. Fetch the file again.',
        { field: 'weight_map', path },
      )
    }
    shards.push(name)
  }
  if (shards.length === 0 || shards.length > MAX_SHARDS) {
    throw new FormatError(
      `Expected 1 to ${MAX_SHARDS} files in the weight_map of ${path}, got ${shards.length}.`,
      { field: 'weight_map', path },
    )
  }
  return shards.sort()
}

/**
 * Opens safetensors files of a folder as one model.
 *
 * @param name of the model, for messages
 */
export async function openCheckpoint(
  folder: ModelFolder,
  name: string,
  shards: readonly string[],
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
    for (const shard of shards) {
      const source = await folder.open(shard)
      sources.push(source)
      for (const tensor of (await parseSafetensors(source)).tensors.values()) {
        if (tensors.has(tensor.name)) {
          throw new FormatError(
            `Expected tensor "${tensor.name}" in one file, found it again in ${source.name}.`,
            { field: tensor.name, path: source.name },
          )
        }
        tensors.set(tensor.name, tensor)
      }
    }
    return {
      file: { format: 'safetensors', name, config, tensors, close },
      tokenizerFiles: await readTokenizerFiles(folder),
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function readTokenizerFiles(folder: ModelFolder): Promise<TokenizerFiles> {
  const [tokenizerJson, tokenizerConfig, generationConfig, chatTemplate, tokenizerModel] =
    await Promise.all([
      readJson(folder, 'tokenizer.json'),
      readJson(folder, 'tokenizer_config.json'),
      readJson(folder, 'generation_config.json'),
      readText(folder, 'chat_template.jinja'),
      folder.read('tokenizer.model'),
    ])
  return { tokenizerJson, tokenizerConfig, generationConfig, chatTemplate, tokenizerModel }
}

/** A JSON object, or undefined if there is no such file. */
async function readJson(folder: ModelFolder, file: string): Promise<JsonObject | undefined> {
  const text = await readText(folder, file)
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw notOf('JSON text', folder, file, cause)
  }
  if (isObject(value)) return value
  throw notOf('a JSON object', folder, file)
}

async function readText(folder: ModelFolder, file: string): Promise<string | undefined> {
  const bytes = await folder.read(file)
  if (bytes === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw notOf('UTF-8 text', folder, file, cause)
  }
}

function notOf(expected: string, folder: ModelFolder, file: string, cause?: unknown): FormatError {
  const path = folder.pathOf(file)
  const facts = { field: file, path, cause }
  return new FormatError(`Expected ${expected} in ${path}, got something else.`, facts)
}
