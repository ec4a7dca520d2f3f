/**
 * What the system says of files: values where there is an answer, and errors that name what they are about.
 */
import { constants, type Stats } from 'node:fs'
import { access, type FileHandle, mkdir, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

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

/** Where a path leads, or the path itself where nothing is. */
export function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => path)
}

/** The path itself, or the nearest one above it where something is. */
export async function existingPath(path: string): Promise<string> {
  if ((await statOf(path)) !== undefined) return path
  const parent = dirname(path)
  return parent === path ? path : existingPath(parent)
}

/**
 * Makes a folder, and those above it.
 *
 * @throws the system's error; Node calls a folder missing where the disk is only to be read
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, ...(mode === undefined ? {} : { mode }) })
  } catch (error) {
    if (errorCode(error) === 'ENOENT') await requireWritable(await existingPath(path))
    throw error
  }
}

/** @throws the system's error where nothing may be made in a folder, or there is none at that path */
export function requireWritable(folder: string): Promise<void> {
  // The point asks for a folder: a file in its place may be written to as well.
  return access(`${folder}/.`, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw namingFile(folder, error)
  })
}

/** Errors of open files do not say which file it was, and those of files aside another name. */
export function namingFile(path: string, error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? Object.assign(error, { path }) : error
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
