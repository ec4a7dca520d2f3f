/**
 * The folder of packed images: where it is, what lies in it, and what goes when it grows too large.
 */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { isAlive } from '../files/file-lock.ts'
import { openFileSource } from '../files/file-source.ts'
import { cacheFolder } from '../files/folders.ts'
import { freeBytes } from '../files/free-space.ts'
import { makeFolder, namesIn, statOf } from '../files/system.ts'
import { type ImageManifest, readStart } from './image-file.ts'

const IMAGE_SUFFIX = '.image'
const PARTIAL_MARK = '.partial-'

/** Images of a dozen models of 2 billion parameters. */
const DEFAULT_LIMIT_BYTES = 16e9
/** What must stay free on the disk when an image has been written. */
const SPARE_BYTES = 1e9
/** Whoever writes an image writes without a pause; this long after the last byte nobody does. */
const ABANDONED_MS = 60_000

export interface ImageEntry {
  readonly path: string
  readonly byteLength: number
  readonly lastUsed: Date
  /** The file's name of the model, and what was asked for; absent where the image is damaged. */
  readonly source?: string
  readonly settings?: string
}

/** "images" in the folder of caches. */
export function imageFolder(): string {
  return join(cacheFolder(), 'images')
}

/** BITNET_IMAGE_LIMIT, in GB. */
function imageLimitBytes(): number {
  const text = process.env['BITNET_IMAGE_LIMIT']
  if (!text) return DEFAULT_LIMIT_BYTES
  const limit = Number(text) * 1e9
  if (limit >= 0) return limit
  throw new UsageError(`Expected BITNET_IMAGE_LIMIT to be a number of GB, got "${text}".`)
}

/** The packed images in the cache, the one used last first. */
export async function listImages(folder: string = imageFolder()): Promise<ImageEntry[]> {
  const names = await namesIn(folder)
  const entries: ImageEntry[] = []
  for (const name of names.filter((found) => found.endsWith(IMAGE_SUFFIX))) {
    const path = join(folder, name)
    const facts = await statOf(path)
    if (facts === undefined) continue
    const manifest = await readManifest(path).catch(() => undefined)
    entries.push({
      path,
      byteLength: facts.size,
      lastUsed: facts.mtime,
      ...(manifest && { source: manifest.source, settings: manifest.settings }),
    })
  }
  return entries.sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime())
}

/** What an image says of itself, whether or not it is whole. */
export async function readManifest(path: string): Promise<ImageManifest> {
  const source = await openFileSource(path)
  try {
    return (await readStart(source)).manifest
  } finally {
    await source.close()
  }
}

/**
 * Removes packed images; the models that they were made of stay.
 *
 * @param paths as {@link listImages} gives them; unset: all, and what unfinished writing left
 * @returns bytes that are free again
 */
export async function removeImages(
  paths?: readonly string[],
  folder: string = imageFolder(),
): Promise<number> {
  const entries = await listImages(folder)
  let bytes = 0
  for (const { path, byteLength } of entries) {
    if (paths !== undefined && !paths.includes(path)) continue
    await rm(path, { force: true })
    bytes += byteLength
  }
  return bytes + (paths === undefined ? await removePartials(folder, 0) : 0)
}

/** Where an image of this content lies. */
export function contentPath(place: string, checksum: string): string {
  return `${place}.${checksum}${IMAGE_SUFFIX}`
}

/** The images of a place, whatever their content: the newest, and older ones that could not be removed. */
export async function imagesAt(folder: string, name: string): Promise<string[]> {
  const names = (await namesIn(folder)).filter(
    (one) => isOf(one, name) && one.endsWith(IMAGE_SUFFIX),
  )
  return names.map((one) => join(folder, one))
}

/** An older image of the same place is of no use any more. */
export async function removeOthers(path: string, name: string): Promise<void> {
  for (const other of await imagesAt(dirname(path), name)) {
    // A mapped file cannot be removed on every system; then it goes with a later one.
    if (other !== path) await rm(other, { force: true }).catch(() => {})
  }
}

function isOf(file: string, name: string): boolean {
  return file.startsWith(`${name}.`)
}

/** Where an image is written before it has its name: nobody else uses this one. */
export function partialPath(place: string): string {
  return `${place}${IMAGE_SUFFIX}${PARTIAL_MARK}${process.pid}-${randomUUID().slice(0, 8)}`
}

/**
 * Makes room for an image: removes what unfinished writing left long ago, and the images that were not
 * used for longest until all fit the limit.
 *
 * @returns why there can be no image of this size, or undefined
 */
export async function makeRoom(
  folder: string,
  name: string,
  byteLength: number,
): Promise<string | undefined> {
  await makeFolder(folder)
  await removePartials(folder, ABANDONED_MS)
  const limit = imageLimitBytes()
  if (byteLength > limit) return `it would exceed the ${limit / 1e9} GB of BITNET_IMAGE_LIMIT`
  const others = (await listImages(folder)).filter(({ path }) => !isOf(basename(path), name))
  let total = byteLength + others.reduce((sum, entry) => sum + entry.byteLength, 0)
  for (const entry of others.reverse()) {
    if (total <= limit) break
    // A mapped file cannot be removed on every system; then there is one too many.
    await rm(entry.path, { force: true }).catch(() => {})
    total -= entry.byteLength
  }
  if ((await freeBytes(folder)) >= byteLength + SPARE_BYTES) return undefined
  return `the disk of ${folder} would have less than ${SPARE_BYTES / 1e9} GB left`
}

/** Whether another load, of this process or of another one that still runs, is writing an image of this name. */
export async function isBeingWritten(folder: string, name: string): Promise<boolean> {
  for (const { path, ageMs } of await partials(folder)) {
    if (!isOf(basename(path), name) || ageMs >= ABANDONED_MS) continue
    const writer = path.slice(path.lastIndexOf(PARTIAL_MARK) + PARTIAL_MARK.length)
    if (isAlive(Number.parseInt(writer, 10))) return true
  }
  return false
}

async function removePartials(folder: string, olderThanMs: number): Promise<number> {
  let bytes = 0
  for (const { path, ageMs, byteLength } of await partials(folder)) {
    if (ageMs < olderThanMs) continue
    await rm(path, { force: true })
    bytes += byteLength
  }
  return bytes
}

async function partials(folder: string) {
  const mark = IMAGE_SUFFIX + PARTIAL_MARK
  const names = (await namesIn(folder)).filter((name) => name.includes(mark))
  const found: { path: string; ageMs: number; byteLength: number }[] = []
  for (const name of names) {
    const path = join(folder, name)
    const facts = await statOf(path)
    if (facts) found.push({ path, ageMs: Date.now() - facts.mtimeMs, byteLength: facts.size })
  }
  return found
}
