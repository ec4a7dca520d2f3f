/**
 * Texts that a command is given: files and standard input.
 */
import { createReadStream } from 'node:fs'
import { messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { MAX_JSON_MARKS, parseJsonText } from '../../formats/json-text.ts'
import {
  checkTextSize,
  decodeLines,
  decodeText,
  type TextLine,
} from '../../node/files/text-encoding.ts'
import { isSystemError, reasonOf } from './failure.ts'
import type { InputStream } from './surroundings.ts'

/** What stands for standard input in place of a file. */
const STDIN = '-'

/**
 * A file's text, or that of standard input for "-".
 *
 * @throws UsageError if it cannot be read; FormatError if it is not text in a known encoding
 */
export async function readTextFile(path: string, stdin?: InputStream): Promise<string> {
  return decodeText(await readBytes(path, stdin), nameOf(path))
}

/** The same as a prompt: `echo` and editors put a line end last. */
export async function readPrompt(path: string, stdin: InputStream): Promise<string> {
  return (await readTextFile(path, stdin)).replace(/\r?\n$/, '')
}

/** Its lines, blank ones left out. Throws as {@link readTextFile}. */
export async function readLines(path: string, stdin: InputStream): Promise<TextLine[]> {
  return decodeLines(await readBytes(path, stdin), nameOf(path))
}

/** A JSON text's value. @throws UsageError naming where the text is from */
export function jsonOf(text: string, origin: string): unknown {
  try {
    return parseJsonText(text, MAX_JSON_MARKS)
  } catch (error) {
    throw new UsageError(`Expected JSON in ${origin}: ${messageOf(error)}.`)
  }
}

function nameOf(path: string): string {
  return path === STDIN ? 'standard input' : path
}

function readBytes(path: string, stdin?: InputStream): Promise<Uint8Array> {
  if (path === STDIN && stdin !== undefined) return collect(stdin, nameOf(path))
  // By pieces, since pipes (`-f <(command)`) do not tell how much there is.
  return readable(path, () => collect(createReadStream(path), path))
}

async function collect(stream: InputStream, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk))
    size += chunk.length
    checkTextSize(size, name)
  }
  return Buffer.concat(chunks)
}

/** @throws UsageError if the operating system refuses `path` */
export async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new UsageError(`Cannot read ${path}: ${reasonOf(error)}.`)
  }
}
