/**
 * Opens a model where it lies on disk: a .gguf file, a .safetensors file with config.json beside it, or
 * a folder as Hugging Face lays it out, with one or several safetensors files.
 */

import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ModelNotFoundError } from '../errors.ts'
import { isGgufName } from '../formats/gguf/index.ts'
import type { OpenedModel } from '../formats/model-file.ts'
import {
  checkSideFileSize,
  type ModelFolder,
  openGgufIn,
  openModelFolder,
  openShardIn,
} from '../formats/model-folder.ts'
import { openFileSource } from './files/file-source.ts'
import { fileSize, namesIn, statOf } from './files/system.ts'

/**
 * @param path a .gguf or .safetensors file, or a folder
 * @throws ModelNotFoundError if nothing usable is there; it says what was looked for
 * @throws FormatError if what is there is damaged
 */
export async function openModelFile(path: string): Promise<OpenedModel> {
  const found = await statOf(path)
  if (found === undefined) {
    throw new ModelNotFoundError(
      `Expected a .gguf file, a .safetensors file or a model folder at ${path}, but there is ` +
        'nothing. Check the path.',
      { source: path },
    )
  }
  if (found.isDirectory()) return openModelFolder(localFolder(path))
  const folder = localFolder(dirname(path))
  if (await isGguf(path)) {
    return { file: await openGgufIn(folder, basename(path)), tokenizerFiles: {} }
  }
  if (!path.endsWith('.safetensors')) {
    throw new ModelNotFoundError(
      `Expected a .gguf file, a .safetensors file or a model folder, got ${path}, which is none.`,
      { source: path },
    )
  }
  return openShardIn(folder, basename(path))
}

/** By the first bytes: the name may lack the ending. */
async function isGguf(path: string): Promise<boolean> {
  if (isGgufName(path)) return true
  const source = await openFileSource(path)
  try {
    const start = await source.read(0, Math.min(4, source.size))
    return new TextDecoder().decode(start) === 'GGUF'
  } finally {
    await source.close()
  }
}

function localFolder(folder: string): ModelFolder {
  return {
    name: folder,
    list: () => namesIn(folder),
    pathOf: (file) => join(folder, file),
    open: (file) => openFileSource(join(folder, file)),
    read: (file) => readSideFile(join(folder, file)),
  }
}

/** A whole small file of a model's folder; undefined if there is none. */
export async function readSideFile(path: string): Promise<Uint8Array | undefined> {
  const size = await fileSize(path)
  if (size === undefined) return undefined
  checkSideFileSize(path, size)
  return new Uint8Array(await readFile(path))
}
