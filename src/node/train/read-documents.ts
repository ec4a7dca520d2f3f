/** Documents of files and folders, one after the other, however large the files are. */
import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { extname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import { messageOf } from '../../checks.ts'
import { FormatError, UsageError } from '../../errors.ts'
import {
  DOCUMENT_SEPARATOR,
  documentsOfLine,
  type TrainingDocument,
} from '../../train/data/documents.ts'
import { filesBelow, statOf } from '../files/system.ts'
import { decodePieces } from '../files/text-encoding.ts'

/** Characters of a text without separators that are a document for themselves, cut at a line's end. */
const MAX_DOCUMENT = 1 << 20
/** A line of JSON longer than this is none. */
const MAX_LINE = 64 << 20

const PACKED: readonly string[] = ['.gz', '.xz', '.zst']
const TEXTS: readonly string[] = ['.txt', '.md', '.jsonl', '.ndjson']

/** The files of a path: itself, or all texts below a folder, in the order of their names. */
export async function textFiles(path: string): Promise<string[]> {
  const found = await statOf(path)
  if (found === undefined) {
    throw new UsageError(
      `Expected a text, a .jsonl file or a folder of them at ${path}, got nothing.`,
    )
  }
  if (found.isFile()) return [path]
  const files = (await filesBelow(path)).filter((file) => TEXTS.includes(endingOf(file))).sort()
  if (files.length > 0) return files.map((file) => join(path, file))
  throw new UsageError(
    `Expected files that end in ${TEXTS.join(', ')} below ${path} (or these with ${PACKED.join(', ')}), ` +
      'got none.',
  )
}

/** Without what says how it is packed. */
function endingOf(file: string): string {
  const last = extname(file).toLowerCase()
  return PACKED.includes(last) ? extname(file.slice(0, -last.length)).toLowerCase() : last
}

/**
 * @throws FormatError for what is no text in a known encoding, a damaged archive or a line that is no document
 */
export async function* readDocuments(file: string): AsyncGenerator<TrainingDocument> {
  const isLines = ['.jsonl', '.ndjson'].includes(endingOf(file))
  if (!isLines) {
    for await (const text of pieces(file, DOCUMENT_SEPARATOR, cutLong)) {
      if (text.trim() !== '') yield { text }
    }
    return
  }
  let number = 0
  for await (const line of pieces(file, '\n', refuseLong)) {
    number++
    if (line.trim() !== '') yield* documentsOfLine(line, file, number)
  }
}

/** What is to be done with a piece that has no end yet: how much of it is one. */
type OnLong = (text: string, file: string) => number

const cutLong: OnLong = (text) => {
  if (text.length < MAX_DOCUMENT) return 0
  const line = text.lastIndexOf('\n', MAX_DOCUMENT - 1)
  if (line > 0) return line + 1
  const isPair = (text.charCodeAt(MAX_DOCUMENT - 1) & 0xfc00) === 0xd800
  return MAX_DOCUMENT - (isPair ? 1 : 0)
}

const refuseLong: OnLong = (text, file) => {
  if (text.length < MAX_LINE) return 0
  throw new FormatError(`Expected lines of at most ${MAX_LINE} characters in ${file}.`, {
    field: 'line',
    path: file,
  })
}

/** However the bytes come in, the same text gives the same pieces. */
async function* pieces(file: string, separator: string, onLong: OnLong): AsyncGenerator<string> {
  let rest = ''
  for await (const text of decodePieces(bytesOf(file), file)) {
    const parts = (rest + text).split(separator)
    for (const [i, part] of parts.entries()) {
      rest = part
      for (let cut = onLong(rest, file); cut > 0; cut = onLong(rest, file)) {
        yield rest.slice(0, cut)
        rest = rest.slice(cut)
      }
      if (i < parts.length - 1) yield rest
    }
  }
  yield rest
}

async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  const packed = extname(file).toLowerCase()
  const source = createReadStream(file, { highWaterMark: 1 << 20 })
  if (!PACKED.includes(packed)) {
    yield* source
    return
  }
  const { output, done } = unpacked(source, file, packed)
  // Whatever fails shows when the output is read, or at the end.
  done.catch(() => {})
  try {
    yield* output
    await done
  } catch (cause) {
    throw new FormatError(`Expected ${file} to be a whole ${packed} file: ${messageOf(cause)}.`, {
      field: 'text',
      path: file,
      cause,
    })
  } finally {
    source.destroy()
    output.destroy()
  }
}

/** Zstandard is a part of newer versions of Node. */
type ZstdMaker = { readonly createZstdDecompress?: () => zlib.Gunzip }

function unpacked(source: Readable, file: string, packed: string) {
  const { createZstdDecompress } = zlib as ZstdMaker
  const stream =
    packed === '.gz'
      ? zlib.createGunzip()
      : packed === '.zst'
        ? createZstdDecompress?.()
        : undefined
  if (stream !== undefined) return { output: stream as Readable, done: pipeline(source, stream) }
  const program = packed === '.xz' ? 'xz' : 'zstd'
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(0, 500)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', () => {
      const error = new Error(
        `the program ${program} is needed and was not found; unpack ${file} first`,
      )
      child.stdout.destroy(error)
      reject(error)
    })
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(said.trim()))))
  })
  const fed = pipeline(source, child.stdin)
  return { output: child.stdout as Readable, done: Promise.all([fed, ended]) }
}
