/**
 * Tokenised text on disk: words of 4 bytes, written once for a file and a tokenizer and read window by window,
 * so that a corpus need not fit into memory.
 */
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { UsageError } from '../../errors.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { encodeDocument, textBytesOf } from '../../train/data/encode.ts'
import type { TextSource } from '../../train/run.ts'
import { openFileSource } from '../files/file-source.ts'
import { fileSize, makeFolder } from '../files/system.ts'
import { writeAside, writeFully } from '../files/write-file.ts'
import { readDocuments, textFiles } from './read-documents.ts'

/** Words that are written at a time. */
const PIECE = 1 << 18
/** Bytes before the words: how many bytes of text they stand for (float64), and 8 more. */
const HEADER = 16

export interface TokenFile extends TextSource {
  close(): Promise<void>
}

export interface TokenizingProgress {
  readonly file: string
  readonly tokens: number
}

export interface TokenizingOptions {
  readonly tokenizer: TextTokenizer
  /** Tells tokenizers apart. */
  readonly tokenizerHash: string
  /** Where token files are kept. */
  readonly folder: string
  readonly onProgress?: ((progress: TokenizingProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The tokens of a file or folder, from where they are kept or made now.
 *
 * @throws UsageError or FormatError as {@link readDocuments}; the signal's reason
 */
export async function openTokens(path: string, options: TokenizingOptions): Promise<TokenFile> {
  const files = await textFiles(path)
  const hash = createHash('sha256').update(options.tokenizerHash)
  for (const file of files) {
    const { size, mtimeMs } = await stat(file)
    hash.update(JSON.stringify([file, size, mtimeMs]))
  }
  await makeFolder(options.folder)
  const name = `${basename(path).replace(/[^\w.-]/g, '_')}-${hash.digest('hex').slice(0, 16)}.tokens`
  const kept = join(options.folder, name)
  if ((await fileSize(kept)) === undefined) await tokenize(kept, files, options)
  const source = await openFileSource(kept)
  const header = await source.read(0, HEADER)
  return {
    name: path,
    count: (source.size - HEADER) / 4,
    textBytes: new DataView(header.buffer, header.byteOffset).getFloat64(0, true),
    async read(first, count) {
      const bytes = await source.read(HEADER + first * 4, count * 4)
      return new Int32Array(bytes.buffer, bytes.byteOffset, count)
    },
    close: () => source.close(),
  }
}

async function tokenize(
  kept: string,
  files: readonly string[],
  { tokenizer, onProgress, signal }: TokenizingOptions,
): Promise<void> {
  await writeAside(kept, async (handle) => {
    let words: number[] = []
    let tokens = 0
    let textBytes = 0
    const flush = async (file: string) => {
      const bytes = Buffer.from(Int32Array.from(words).buffer)
      await writeFully(handle, bytes, HEADER + tokens * 4)
      tokens += words.length
      words = []
      onProgress?.({ file, tokens })
      signal?.throwIfAborted()
    }
    for (const file of files) {
      for await (const document of readDocuments(file)) {
        textBytes += textBytesOf(document)
        for (const word of encodeDocument(document, tokenizer)) words.push(word)
        if (words.length >= PIECE) await flush(file)
      }
      await flush(file)
    }
    if (tokens === 0) throw new UsageError(`Expected text in ${files.join(', ')}, got none.`)
    const header = new Uint8Array(HEADER)
    new DataView(header.buffer).setFloat64(0, textBytes, true)
    await writeFully(handle, header, 0)
    await handle.sync()
  })
}
