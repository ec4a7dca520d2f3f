/**
 * What the system says of files, as values instead of errors.
 */
import type { Stats } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** Reads and writes take pieces: systems have a limit for one call, 2 GiB on Linux. */
export const MAX_CALL_BYTES = 1 << 30

/** What is at a path; undefined if there is nothing, or nothing that may be looked at. */
export function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined)
}

/** Bytes of a file; undefined if there is none. */
export async function fileSize(path: string): Promise<number | undefined> {
  const found = await statOf(path)
  return found?.isFile() === true ? found.size : undefined
}

/** A small file's text; empty if there is none. */
export function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/** What lies in a folder; nothing if there is none. */
export function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

/** Files and links in a folder and those in it, relative and with "/"; nothing if there is none. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep).join('/'))
}

/** The system's word for what went wrong, such as ENOENT. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
