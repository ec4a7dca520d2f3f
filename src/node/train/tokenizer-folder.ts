/** Tokenizers of runs, from files. */
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { JsonObject } from '../../checks.ts'
import { tokenizerFilesOf } from '../../convert/checkpoint-tokenizer.ts'
import type { SideFile } from '../../convert/conversion.ts'
import { UsageError } from '../../errors.ts'
import { MAX_VOCABULARY_MARKS, parseObject } from '../../formats/json-text.ts'
import { readConfig } from '../../model/config/read-config.ts'
import { jsonTokenizer } from '../../tokenizer/open-tokenizer.ts'
import { byteTokenizerFiles } from '../../tokenizer/training/tokenizer-files.ts'
import { withTokenizerJson } from '../../tokenizer/vocabulary-files.ts'
import type { RunTokenizer } from '../../train/run.ts'
import { takingTurns } from '../../turns.ts'
import { sideFilesIn } from '../convert/convert-file.ts'
import { statOf } from '../files/system.ts'
import { openModelFile } from '../open-model.ts'
import { type ResolveOptions, resolveModel } from '../resolve-model.ts'

/** The name of the tokenizer that needs no file. */
export const BYTES = 'bytes'

/**
 * @param name "bytes", a tokenizer.json or its folder, or a model's name or path
 * @throws UsageError where there is no tokenizer.json, ModelNotFoundError and FormatError as in loading
 */
export async function openRunTokenizer(
  name: string,
  options: ResolveOptions,
): Promise<RunTokenizer> {
  const files = await filesOf(name, options)
  const text = (file: string) => {
    const found = files.find((own) => own.name === file)
    return found && new TextDecoder().decode(found.bytes)
  }
  const json = (file: string) => parseObject(text(file) ?? '', MAX_VOCABULARY_MARKS)
  const tokenizerJson = json('tokenizer.json')
  if (tokenizerJson === undefined) {
    throw new UsageError(
      `Expected a tokenizer.json for training in ${name}, got none. Name a model or a folder that has one, ` +
        `or "${BYTES}" for a token a byte.`,
    )
  }
  const whole = withTokenizerJson({
    tokenizerJson,
    tokenizerConfig: json('tokenizer_config.json'),
    generationConfig: json('generation_config.json'),
    specialTokensMap: json('special_tokens_map.json'),
    chatTemplate: text('chat_template.jinja'),
    addedTokens: json('added_tokens.json'),
  })
  const { tokenizerJson: made } = whole
  const tokenizer = await takingTurns(jsonTokenizer({ ...whole, tokenizerJson: made }))
  const hash = createHash('sha256')
  for (const { name, bytes } of files) hash.update(name).update(bytes)
  return { tokenizer, files, hash: hash.digest('hex') }
}

/** A tokenizer's file, as people can read it. */
export function fileText(value: JsonObject): string {
  return `${JSON.stringify(value, null, 1)}\n`
}

async function filesOf(name: string, options: ResolveOptions): Promise<readonly SideFile[]> {
  if (name === BYTES) {
    return Object.entries(byteTokenizerFiles()).map(([name, value]) => ({
      name,
      bytes: new TextEncoder().encode(fileText(value)),
    }))
  }
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
