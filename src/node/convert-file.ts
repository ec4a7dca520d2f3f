/**
 * Conversion from disk to disk.
 */
import { realpath } from 'node:fs/promises'
import { type ConversionOptions, type ConversionReport, convertToGguf } from '../convert/index.ts'
import { UsageError } from '../errors.ts'
import { openFileSink } from './file-sink.ts'
import { openModelFile } from './open-model.ts'

/**
 * Converts the model at `source` (see openModelFile) to a GGUF file at `target`. On failure nothing
 * is left there, and an older file of that name stays as it was.
 *
 * @throws UsageError, FormatError or ModelNotFoundError as openModelFile and convertToGguf do
 */
export async function convertFile(
  source: string,
  target: string,
  options: ConversionOptions = {},
): Promise<ConversionReport> {
  const opened = await openModelFile(source)
  try {
    if ((await placeOf(target)) === (await placeOf(source))) {
      throw new UsageError(`Expected another file to write to, got the source ${source} itself.`)
    }
    const sink = await openSink(target)
    try {
      const report = await convertToGguf(opened, sink, options)
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

async function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => path)
}

async function openSink(target: string) {
  try {
    return await openFileSink(target)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unknown reason'
    throw new UsageError(`Expected a place for a new file at ${target}, but: ${why}.`)
  }
}
