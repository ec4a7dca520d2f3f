/**
 * Conversion from disk to disk.
 */

import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  CHECKPOINT_EMBEDDINGS,
  type CheckpointConversionOptions,
  type ConversionReport,
  convertToCheckpoint,
  convertToGguf,
  GGUF_EMBEDDINGS,
  type GgufConversionOptions,
  LINEAR_CLASSES,
  type SideFile,
  WEIGHT_STORAGES,
} from '../../convert/index.ts'
import { UsageError } from '../../errors.ts'
import { isGgufName } from '../../formats/gguf/index.ts'
import type { OpenedModel } from '../../formats/model-file.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  type OptionRules,
  oneOf,
  SIGNAL,
  SWITCH,
  TEXT,
} from '../../option-checks.ts'
import { placeOf } from '../files/system.ts'
import { openModelFile, readSideFile } from '../open-model.ts'
import { openCheckpointFolder, openFileSink } from './sinks.ts'

/** Of both targets; what the other one takes is refused. */
export type ConversionOptions = Omit<GgufConversionOptions, 'embedding'> &
  Omit<CheckpointConversionOptions, 'embedding'> & {
    /** F16, Q8_0, Q6_K or Q4_0 in GGUF; BF16, F16 or F32 in safetensors. */
    readonly embedding?: (typeof EMBEDDINGS)[number]
  }

export const EMBEDDINGS = [...new Set([...GGUF_EMBEDDINGS, ...CHECKPOINT_EMBEDDINGS])]

const CONVERSION_OPTIONS: OptionRules<ConversionOptions> = {
  weights: { ...oneOf(WEIGHT_STORAGES), also: ['type', 'outtype', 'quantization', 'ftype'] },
  embedding: { ...oneOf(EMBEDDINGS), also: ['token_embedding_type', 'output_type'] },
  linearClass: oneOf(LINEAR_CLASSES),
  shardBytes: { ...COUNT, also: ['max_shard_size', 'split_max_size', 'shard_size'] },
  name: { ...TEXT, also: ['model_name'] },
  force: SWITCH,
  onProgress: FUNCTION,
  signal: SIGNAL,
}

/** Files that go along with a checkpoint as they are. */
const SIDE_FILES: ReadonlySet<string> = new Set([
  'added_tokens.json',
  'chat_template.jinja',
  'generation_config.json',
  'merges.txt',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'vocab.json',
])

/**
 * Converts the model at `source` (see openModelFile) to a GGUF file if `target` ends in .gguf, and to a
 * folder of packed safetensors otherwise. On failure nothing is left there, and an older file or folder
 * of that name stays as it was.
 *
 * @throws UsageError, FormatError or ModelNotFoundError as openModelFile, convertToGguf and
 *   convertToCheckpoint do; BitnetError with code DISK_FULL
 */
export async function convertFile(
  source: string,
  target: string,
  options: ConversionOptions = {},
): Promise<ConversionReport> {
  const isGguf = isGgufName(target)
  checkOptions('convertFile', options, CONVERSION_OPTIONS)
  checkTarget(isGguf, options)
  const opened = await openModelFile(source)
  try {
    const isWeightFile = source.endsWith('.safetensors') && (await stat(source)).isFile()
    const folder = isWeightFile ? dirname(source) : source
    const [to, from, around] = await Promise.all([target, source, folder].map(placeOf))
    if (to === from || (!isGguf && to === around)) {
      throw new UsageError(`Expected another place to write to, got the source ${source} itself.`)
    }
    const sink = await (isGguf ? openFileSink(target) : openCheckpointFolder(target))
    try {
      const report =
        'write' in sink
          ? await convertToGguf(opened, sink, options as GgufConversionOptions)
          : await convertToCheckpoint(
              await withSideFiles(opened, folder),
              sink,
              options as CheckpointConversionOptions,
            )
      await sink.finish()
      return report
    } catch (error) {
      await sink.discard()
      throw error
    }
  } finally {
    await opened.file.close()
  }
}

function checkTarget(isGguf: boolean, { weights, embedding, linearClass }: ConversionOptions) {
  const allowed: readonly string[] = isGguf ? GGUF_EMBEDDINGS : CHECKPOINT_EMBEDDINGS
  const what = isGguf ? 'a GGUF file' : 'a folder of safetensors (a target without .gguf)'
  if (embedding !== undefined && !allowed.includes(embedding)) {
    throw new UsageError(
      `Expected an embedding of ${allowed.join(', ')} for ${what}, got ${embedding}.`,
    )
  }
  if (isGguf && linearClass !== undefined) {
    throw new UsageError(
      'Expected a linear class for safetensors only: scales in GGUF always multiply. Leave it out, ' +
        'or name a target without .gguf.',
    )
  }
  if (!isGguf && weights !== undefined) {
    throw new UsageError(
      `Expected a target that ends in .gguf for ternary weights of type ${weights}; a folder has ` +
        'packed bytes. Leave the type out, or name a .gguf file.',
    )
  }
}

async function withSideFiles(opened: OpenedModel, folder: string) {
  if (opened.file.format === 'gguf') return opened
  return { ...opened, sideFiles: await sideFilesIn(folder) }
}

/** The files of a tokenizer, and of generation, in a model's folder. */
export async function sideFilesIn(folder: string): Promise<SideFile[]> {
  const names = (await readdir(folder)).filter((name) => SIDE_FILES.has(name)).sort()
  const sideFiles: SideFile[] = []
  for (const name of names) {
    const bytes = await readSideFile(join(folder, name))
    if (bytes !== undefined) sideFiles.push({ name, bytes })
  }
  return sideFiles
}
