/** Tokenizers of runs, from files. */
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { tokenizerFilesOf } from '../../convert/checkpoint-tokenizer.ts'
import type { SideFile } from '../../convert/conversion.ts'
import { readConfig } from '../../model/config/read-config.ts'
import { BYTES, byteTokenizer, openTokenizer } from '../../train/data/run-tokenizer.ts'
import type { RunTokenizer } from '../../train/run.ts'
import { sideFilesIn } from '../convert/convert-file.ts'
import { statOf } from '../files/system.ts'
import { openModelFile } from '../open-model.ts'
import { type ResolveOptions, resolveModel } from '../resolve-model.ts'

/**
 * @param name "bytes", a tokenizer.json or its folder, or a model's name or path
 * @throws UsageError where there is no tokenizer.json, ModelNotFoundError and FormatError as in loading
 */
export async function openRunTokenizer(
  name: string,
  options: ResolveOptions,
): Promise<RunTokenizer> {
  const files = await filesOf(name, options)
  const tokenizer = await openTokenizer(files, name)
  const hash = createHash('sha256')
  for (const { name, bytes } of files) hash.update(name).update(bytes)
  return { tokenizer, files, hash: hash.digest('hex') }
}

async function filesOf(name: string, options: ResolveOptions): Promise<readonly SideFile[]> {
  if (name === BYTES) return byteTokenizer()
  const path = await resolveModel(name, options)
  const found = await statOf(path)
  if (found?.isDirectory()) return sideFilesIn(path)
  if (path.endsWith('.json')) return sideFilesIn(dirname(path))
  const { file } = await openModelFile(path)
  try {
    return file.format === 'gguf'
      ? tokenizerFilesOf(file, readConfig(file))
      : sideFilesIn(dirname(path))
  } finally {
    await file.close()
  }
}
