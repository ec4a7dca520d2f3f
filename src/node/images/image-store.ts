/**
 * Keeps packed weights as files that the next start maps: the second start of a model neither reads its
 * file nor packs anything, and processes with the same model share one copy in memory.
 *
 * Only a backend that maps files (the native one) or is given copies of them (a GPU) uses images; others load as ever
 * and say so.
 */
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backend, MappedFile } from '../../backends/backend.ts'
import { messageOf } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { memorySource } from '../../formats/memory-source.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import type { LoadedWeights } from '../../model/weights/load-weights.ts'
import { describeWeights, rebuildWeights } from '../../model/weights/weight-description.ts'
import type {
  ImageReport,
  KeptWeights,
  WeightImages,
  WeightRequest,
} from '../../model/weights/weight-images.ts'
import { encodeStart, type ImageManifest, type PlacedBuffer, readStart } from './image-file.ts'
import {
  contentPath,
  type ImageEntry,
  imageFolder,
  imagesAt,
  isBeingWritten,
  listImages,
  makeRoom,
  readManifest,
  removeOthers,
} from './image-folder.ts'
import { type ImageIdentity, imageIdentity } from './source-identity.ts'
import { writeImage } from './write-image.ts'

export interface ImageOptions {
  /** Unset: {@link imageFolder}. */
  readonly folder?: string
  /**
   * Models that load quicker, or are smaller, get no image, which would save nothing that anybody
   * would notice. Unset: 300 ms and 64 MB.
   */
  readonly minLoadMs?: number
  readonly minBytes?: number
}

/** Where packed images are kept between two starts; unset where BITNET_IMAGE is 0. */
export function weightImages(options: ImageOptions = {}): WeightImages | undefined {
  if (process.env['BITNET_IMAGE'] === '0') return undefined
  const { folder = imageFolder(), minLoadMs = 300, minBytes = 64e6 } = options
  return {
    async load(request, load) {
      const { backend } = request
      if (backend.files === undefined) {
        return settled(await load(), none(`the ${backend.name} backend does not map files`))
      }
      const identity = await imageIdentity(request).catch(() => undefined)
      if (identity === undefined) {
        return settled(await load(), none("the model's file cannot be told from others"))
      }
      const found = await restore(request, folder, identity)
      if ('weights' in found) {
        const { weights, byteLength, path } = found
        return settled(weights, { state: 'mapped', path, byteLength })
      }
      await request.meanwhile?.()
      const began = performance.now()
      const weights = await load()
      const loadMs = performance.now() - began
      const unused = found.reason === undefined ? {} : { reason: found.reason }
      if (loadMs < minLoadMs || weights.ternaryBytes + weights.denseBytes < minBytes) {
        const small = none('the model is small enough to load as quickly without')
        return settled(weights, { ...unused, ...small })
      }
      const kept = keep(backend, folder, identity, weights)
      return {
        weights,
        image: { state: 'writing', ...unused },
        kept: kept.then((image) => ({ ...unused, ...image })),
      }
    },
  }
}

/** Writes an image, or says why not: a model that has loaded must run in any case. */
async function keep(
  backend: Backend,
  folder: string,
  { name, text, source, settings }: ImageIdentity,
  weights: LoadedWeights,
): Promise<ImageReport> {
  try {
    if (await isBeingWritten(folder, name)) {
      return none('another process is writing it')
    }
    const { tree, buffers: described } = describeWeights(weights)
    const buffers = described.map(({ buffer }) => buffer)
    const sizes = described.map(({ buffer: { label, byteLength }, sparseBytes }) => {
      return { label, byteLength, sparseBytes }
    })
    const image = encodeStart({ identity: text, source, settings, tree, buffers: sizes })
    const noRoom = await makeRoom(folder, name, image.fileBytes)
    if (noRoom !== undefined) return none(noRoom)
    const path = await writeImage(backend, join(folder, name), image, buffers)
    await removeOthers(path, name)
    if (sizes.some(({ sparseBytes }) => sparseBytes > 0)) {
      await leaveSparseEnds(backend, path, buffers)
    }
    return { state: 'written', path, byteLength: image.fileBytes }
  } catch (error) {
    return none(`it could not be written: ${messageOf(error)}`)
  }
}

/** The memory of what is seldom read, and lies in the image now, is free for what the model does. */
async function leaveSparseEnds(
  backend: Backend,
  path: string,
  buffers: readonly DeviceBuffer[],
): Promise<void> {
  const { mapped, ranges } = await readMappedImage(backend, path)
  try {
    for (const [i, range] of ranges.entries()) {
      if (range.sparseBytes > 0) await mapped.takeSparseEnd(buffers[i], range)
    }
  } finally {
    mapped.close()
  }
}

function none(reason: string): ImageReport {
  return { state: 'none', reason }
}

function settled(weights: LoadedWeights, image: ImageReport): KeptWeights {
  return { weights, image, kept: Promise.resolve(image) }
}

type Restored =
  | { readonly weights: LoadedWeights; readonly byteLength: number; readonly path: string }
  | { readonly reason?: string }

/** @returns weights over a mapped image, or why there are none; no reason where there is no image */
async function restore(
  request: WeightRequest,
  folder: string,
  identity: ImageIdentity,
): Promise<Restored> {
  let last: Restored = {}
  for (const path of await imagesAt(folder, identity.name)) {
    try {
      const { identity: text } = await readManifest(path)
      if (text !== identity.text) {
        throw new Error("the model's file or this program changed since the image was made")
      }
      return await mapWeights(request, path)
    } catch (error) {
      last = { reason: messageOf(error) }
    }
  }
  return last
}

/** @throws FormatError | BackendError if it is no image, or not whole */
async function mapWeights({ backend, meanwhile }: WeightRequest, path: string) {
  const { mapped, manifest, ranges } = await readMappedImage(backend, path, meanwhile)
  try {
    const now = new Date()
    // Only the order in which images are removed suffers where this is not allowed.
    await utimes(path, now, now).catch(() => {})
    const buffers = ranges.map((range) => mapped.buffer(range))
    const dispose = () => {
      for (const buffer of buffers.splice(0)) backend.free(buffer)
    }
    try {
      const weights = rebuildWeights(manifest.tree, buffers, dispose)
      return { weights, byteLength: mapped.bytes.length, path }
    } catch (error) {
      dispose()
      throw error
    }
  } finally {
    mapped.close()
  }
}

/**
 * Maps an image and checks it. The caller closes it.
 *
 * @param meanwhile called while other threads take the checksum
 * @throws FormatError | BackendError if it is none, or not whole
 */
async function readMappedImage(
  backend: Backend,
  path: string,
  meanwhile?: () => Promise<void>,
): Promise<{ mapped: MappedFile; manifest: ImageManifest; ranges: readonly PlacedBuffer[] }> {
  const [mapped] = await Promise.all([backend.files?.map(path), meanwhile?.()])
  if (mapped === undefined) throw new Error('The backend does not map files.')
  try {
    const { checksum, manifest, ranges } = await readStart(memorySource(mapped.bytes, path))
    if (checksum !== mapped.checksum || !path.endsWith(contentPath('', checksum))) {
      throw new FormatError(`The packed image ${path} is damaged: its checksum is another one.`, {
        field: 'checksum',
        path,
      })
    }
    return { mapped, manifest, ranges }
  } catch (error) {
    mapped.close()
    throw error
  }
}

export interface ImageVerdict extends ImageEntry {
  /** What is wrong with it; absent where it is whole. */
  readonly problem?: string
}

/**
 * Gives all packed images the check that each gets before it is used. Whether the model's file has
 * changed since is not looked at: an image that no longer fits is replaced when the model is loaded.
 *
 * @throws BackendError where the native backend, which alone uses images, does not run
 */
export async function verifyImages(folder: string = imageFolder()): Promise<ImageVerdict[]> {
  // Most loads verify nothing, and may run on another backend.
  const { openNativeBackend } = await import('../../backends/native/native-backend.ts')
  const backend = openNativeBackend()
  const verdicts: ImageVerdict[] = []
  try {
    for (const entry of await listImages(folder)) {
      try {
        const { mapped } = await readMappedImage(backend, entry.path)
        mapped.close()
        verdicts.push(entry)
      } catch (error) {
        verdicts.push({ ...entry, problem: messageOf(error) })
      }
    }
  } finally {
    await backend.dispose()
  }
  return verdicts
}
