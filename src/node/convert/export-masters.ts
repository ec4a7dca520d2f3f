/** The float weights of a checkpoint in BF16, with what a model needs beside them and nothing of the run. */
import { join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { decodeDense, encodeDense } from '../../formats/dense-codecs.ts'
import { parseObject } from '../../formats/json-text.ts'
import type { TensorInfo } from '../../formats/model-file.ts'
import { parseSafetensors, writeSafetensors } from '../../formats/safetensors/index.ts'
import { filesOf } from '../../train/checkpoint/checkpoint.ts'
import { openFileSource } from '../files/file-source.ts'
import { placeOf, textOf } from '../files/system.ts'
import { sideFilesIn } from './convert-file.ts'
import { openCheckpointFolder } from './sinks.ts'

export interface MastersReport {
  readonly tensors: number
  readonly bytesOut: number
}

/** Values that are rounded at a time. */
const PIECE = 1 << 20
const BF16_BYTES = 2
const F32_BYTES = 4

/**
 * Half the size of the checkpoint's own, to be quantised where they are loaded, as the published BF16 masters are.
 *
 * @param checkpoint a folder that `train` wrote
 * @throws UsageError if the target is the checkpoint; FormatError for files that are damaged; BitnetError with code
 *   DISK_FULL
 */
export async function exportMasters(
  checkpoint: string,
  target: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<MastersReport> {
  const [from, to] = await Promise.all([checkpoint, target].map(placeOf))
  if (from === to) {
    throw new UsageError(`Expected another place to write to, got the checkpoint ${target} itself.`)
  }
  const files = filesOf({ lora: undefined })
  const source = await openFileSource(join(checkpoint, files.weights))
  try {
    const { tensors } = await parseSafetensors(source)
    const all = [...tensors.values()]
    const bytesOut =
      all.reduce((sum, { byteLength }) => sum + byteLength / F32_BYTES, 0) * BF16_BYTES
    const fields = parseObject(await textOf(join(checkpoint, files.config)))
    const config = new TextEncoder().encode(
      `${JSON.stringify({ ...fields, torch_dtype: 'bfloat16' }, null, 2)}\n`,
    )
    const sink = await openCheckpointFolder(target)
    try {
      await sink.reserve(bytesOut)
      await writeSafetensors(
        await sink.file(files.weights),
        all.map((tensor) => ({
          name: tensor.name,
          dtype: 'BF16' as const,
          shape: tensor.shape,
          data: () => rounded(tensor, signal),
        })),
        { format: 'pt' },
      )
      for (const { name, bytes } of await sideFilesIn(checkpoint)) {
        await (await sink.file(name)).write(bytes)
      }
      await (await sink.file(files.config)).write(config)
      await sink.finish()
    } catch (error) {
      await sink.discard()
      throw error
    }
    return { tensors: all.length, bytesOut }
  } finally {
    await source.close()
  }
}

async function* rounded(
  { type, source, offset, byteLength }: TensorInfo,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const count = byteLength / F32_BYTES
  for (let first = 0; first < count; first += PIECE) {
    signal?.throwIfAborted()
    const values = new Float32Array(Math.min(PIECE, count - first))
    const bytes = await source.read(offset + first * F32_BYTES, values.byteLength)
    decodeDense(type, bytes, values)
    yield encodeDense('BF16', values)
  }
}
