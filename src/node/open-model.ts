/**
 * Opens a model where it lies on disk: a .gguf file, a .safetensors file with config.json beside it, or
 * a folder as Hugging Face lays it out, with one or several safetensors files.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FormatError, ModelNotFoundError } from '../errors.ts'
import { parseGguf } from '../formats/gguf/index.ts'
import type {
  ByteSource,
  GgufFile,
  JsonObject,
  OpenedModel,
  TensorInfo,
  TokenizerFiles,
} from '../formats/model-file.ts'
import { parseSafetensors } from '../formats/safetensors/index.ts'
import { openFileSource } from './file-source.ts'

const WEIGHTS = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'

/** Gemma's tokenizer.json has 33 MB; nothing beside a checkpoint is larger. */
const MAX_SIDE_FILE_BYTES = 128 << 20
/** The largest models come in under 200 shards. */
const MAX_SHARDS = 1024

/**
 * @param path a .gguf or .safetensors file, or a folder
 * @throws ModelNotFoundError if nothing usable is there; it says what was looked for
 * @throws FormatError if what is there is damaged
 */
export async function openModelFile(path: string): Promise<OpenedModel> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) {
    throw new ModelNotFoundError(
      `Expected a .gguf file, a .safetensors file or a model folder at ${path}, but there is ` +
        'nothing. Check the path.',
      { source: path },
    )
  }
  if (found.isDirectory()) return openFolder(path)
  if (await isGguf(path)) return { file: await openGguf(path), tokenizerFiles: {} }
  if (!path.endsWith('.safetensors')) {
    throw new ModelNotFoundError(
      `Expected a .gguf file, a .safetensors file or a model folder, got ${path}, which is none.`,
      { source: path },
    )
  }
  const folder = dirname(path)
  return openCheckpoint(folder, path, [basename(path)])
}

/** By the first bytes: the name may lack the ending. */
async function isGguf(path: string): Promise<boolean> {
  if (path.endsWith('.gguf')) return true
  const source = await openFileSource(path)
  try {
    const start = await source.read(0, Math.min(4, source.size))
    return new TextDecoder().decode(start) === 'GGUF'
  } finally {
    await source.close()
  }
}

async function openGguf(path: string): Promise<GgufFile> {
  const source = await openFileSource(path)
  try {
    return await parseGguf(source)
  } catch (error) {
    await source.close()
    throw error
  }
}

async function openFolder(folder: string): Promise<OpenedModel> {
  const names = await readdir(folder)
  if (names.includes(WEIGHTS)) return openCheckpoint(folder, folder, [WEIGHTS])
  if (names.includes(INDEX)) {
    return openCheckpoint(folder, folder, await readIndex(join(folder, INDEX)))
  }
  const ggufs = names.filter((name) => name.endsWith('.gguf'))
  if (ggufs.length === 1) {
    return { file: await openGguf(join(folder, ggufs[0])), tokenizerFiles: {} }
  }
  const several =
    ggufs.length > 1 ? ` It has ${ggufs.length} .gguf files; name one: ${ggufs.join(', ')}.` : ''
  throw new ModelNotFoundError(
    `Expected ${WEIGHTS}, ${INDEX} or one .gguf file in the folder ${folder}, found none of ` +
      `them.${several}`,
    { source: folder },
  )
}

/** The shards named by an index, each once. */
async function readIndex(path: string): Promise<string[]> {
  const index = await readJson(path)
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

async function openCheckpoint(
  folder: string,
  name: string,
  shards: readonly string[],
): Promise<OpenedModel> {
  const config = await readJson(join(folder, 'config.json'))
  if (config === undefined) {
    throw new ModelNotFoundError(
      `Expected config.json beside ${shards[0]} in ${folder}, found none. It holds the model's ` +
        'sizes; fetch it from where the weights came from.',
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
      const source = await openFileSource(join(folder, shard))
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

async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const [tokenizerJson, tokenizerConfig, generationConfig, tokenizerModel] = await Promise.all([
    readJson(join(folder, 'tokenizer.json')),
    readJson(join(folder, 'tokenizer_config.json')),
    readJson(join(folder, 'generation_config.json')),
    readSideFile(join(folder, 'tokenizer.model')),
  ])
  return {
    ...(tokenizerJson === undefined ? {} : { tokenizerJson }),
    ...(tokenizerConfig === undefined ? {} : { tokenizerConfig }),
    ...(generationConfig === undefined ? {} : { generationConfig }),
    ...(tokenizerModel === undefined ? {} : { tokenizerModel }),
  }
}

/** A JSON object, or undefined if there is no such file. */
async function readJson(path: string): Promise<JsonObject | undefined> {
  const bytes = await readSideFile(path)
  if (bytes === undefined) return undefined
  const facts = { field: basename(path), path }
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new FormatError(`Expected JSON text in ${path}, got something else.`, { ...facts, cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject
  }
  throw new FormatError(`Expected a JSON object in ${path}, got something else.`, facts)
}

async function readSideFile(path: string): Promise<Uint8Array | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || !found.isFile()) return undefined
  if (found.size > MAX_SIDE_FILE_BYTES) {
    throw new FormatError(
      `Expected at most ${MAX_SIDE_FILE_BYTES} bytes in ${path}, got ${found.size}.`,
      { field: basename(path), path },
    )
  }
  return new Uint8Array(await readFile(path))
}
