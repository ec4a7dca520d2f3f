/**
 * What the system says of files, as values instead of errors.
 */
import type { Stats } from 'node:fs'
import { type FileHandle, readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** Reads and writes take pieces: systems have a limit for one call, 2 GiB on Linux. */
export const MAX_CALL_BYTES = 1 << 30

/**
 * Fills `bytes` with what a file has from `offset` on: one call may read less than it was asked for.
 *
 * @returns how many there were
 */
export async function readFully(
  handle: FileHandle,
  bytes: Uint8Array,
  offset: number,
): Promise<number> {
  let done = 0
  while (done < bytes.length) {
    const wanted = Math.min(bytes.length - done, MAX_CALL_BYTES)
    const { bytesRead } = await handle.read(bytes, done, wanted, offset + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

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
