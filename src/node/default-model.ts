/**
 * Where models are found on this machine: the one that comes with the package, by its name, and all
 * others by their path.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ModelNotFoundError } from '../errors.ts'

/** The model that comes with the package, and what loads when none is named. */
export const DEFAULT_MODEL = 'bitnet-ja-en-58m'

/** The folder is beside src and beside dist. */
export function defaultModelPath(): string {
  return fileURLToPath(new URL(`../../models/${DEFAULT_MODEL}.gguf`, import.meta.url))
}

/**
 * The path behind a model's name or path.
 *
 * The embedded model's name wins over a folder of that name; "./name" means the folder.
 *
 * @throws ModelNotFoundError saying what was looked for and where
 */
export async function resolveModel(source: string | undefined): Promise<string> {
  if (source === undefined || source === DEFAULT_MODEL) {
    const path = defaultModelPath()
    if (await exists(path)) return path
    throw new ModelNotFoundError(
      `Expected the embedded model ${DEFAULT_MODEL} at ${path}, but there is no such file. ` +
        'Reinstall the package, or give the path of another model.',
      { source: DEFAULT_MODEL },
    )
  }
  if (await exists(source)) return source
  throw new ModelNotFoundError(
    `Expected "${source}" to be a .gguf file, a .safetensors file or a model folder, or the name ` +
      `of the embedded model, ${DEFAULT_MODEL}. There is nothing at ${resolve(source)}. ` +
      'Check the path.',
    { source },
  )
}

async function exists(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined
}
