/**
 * Texts that a command is given: files and standard input.
 */
import { readFile } from 'node:fs/promises'
import { UsageError } from '../../errors.ts'
import { isSystemError } from './failure.ts'
import type { InputStream } from './surroundings.ts'

/** @throws UsageError if the file cannot be read */
export async function readTextFile(path: string): Promise<string> {
  return readable(path, () => readFile(path, 'utf8'))
}

/** A text a line, blank ones left out. */
export async function readLines(path: string): Promise<string[]> {
  return (await readTextFile(path)).split(/\r?\n/).filter((line) => line.trim() !== '')
}

/** All of standard input. */
export async function readAll(stdin: InputStream): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

/** @throws UsageError if the operating system refuses `path` */
export async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new UsageError(`Cannot read ${path}: ${error.message}.`)
  }
}
