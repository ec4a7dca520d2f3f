/**
 * What the system says of files, as values instead of errors.
 */
import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'

/** What is at a path; undefined if there is nothing, or nothing that may be looked at. */
export function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined)
}

/** Bytes of a file; undefined if there is none. */
export async function fileSize(path: string): Promise<number | undefined> {
  const found = await statOf(path)
  return found?.isFile() === true ? found.size : undefined
}

/** The system's word for what went wrong, such as ENOENT. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
