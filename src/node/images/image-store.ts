/**
 * Keeps packed weights as files that the next start maps: the second start of a model neither reads its
 * file nor packs anything, and processes with the same model share one copy in memory.
 *
 * Only a backend that maps files (the native one) uses images; others load as ever and say so.
 */
import { stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backend, MappedFile } from '../../backends/backend.ts'
import { messageOf } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import type { LoadedWeights } from '../../model/weights/load-weights.ts'
import { describeWeights, rebuildWeights } from '../../model/weights/weight-description.ts'
import type {
  ImageReport,
  KeptWeights,
  WeightImages,
  WeightRequest,
} from '../../model/weights/weight-images.ts'
import {
  decodeManifest,
  decodePreamble,
  encodeStart,
  type ImageBuffer,
  type ImageManifest,
  PREAMBLE_BYTES,
  placeBuffers,
} from './image-file.ts'
import { IMAGE_SUFFIX, imageFolder, isBeingWritten, makeRoom } from './image-folder.ts'
import { type ImageIdentity, imageIdentity } from './source-identity.ts'
import { type ImagePart, writeImage } from './write-image.ts'

/** Below these an image saves nothing that anybody would notice. */
const MIN_LOAD_MS = 300
const MIN_BYTES = 64e6

export interface ImageOptions {
  /** Unset: {@link imageFolder}. */
  readonly folder?: string
  /** Models that load quicker, or are smaller, get no image. Unset: 300 ms and 64 MB. */
  readonly minLoadMs?: number
  readonly minBytes?: number
}

/** Where packed images are kept between two starts; unset where BITNET_IMAGE is 0. */
export function weightImages(options: ImageOptions = {}): WeightImages | undefined {
  return process.env['BITNET_IMAGE'] === '0' ? undefined : new ImageStore(options)
}

class ImageStore implements WeightImages {
  readonly #folder: string
  readonly #minLoadMs: number
  readonly #minBytes: number

  constructor({ folder, minLoadMs = MIN_LOAD_MS, minBytes = MIN_BYTES }: ImageOptions) {
    this.#folder = folder ?? imageFolder()
    this.#minLoadMs = minLoadMs
    this.#minBytes = minBytes
  }

  async load(request: WeightRequest, load: () => Promise<LoadedWeights>): Promise<KeptWeights> {
    const { backend } = request
    if (backend.mapFile === undefined) {
      return settled(await load(), none(`the ${backend.name} backend does not map files`))
    }
    const identity = await imageIdentity(request).catch(() => undefined)
    if (identity === undefined) {
      return settled(await load(), none("the model's file cannot be told from others"))
    }
    const path = join(this.#folder, identity.name + IMAGE_SUFFIX)
    const found = await restore(request, path, identity)
    if ('weights' in found) {
      const { weights, byteLength } = found
      return settled(weights, { state: 'mapped', path, byteLength })
    }
    request.meanwhile?.()
    const began = performance.now()
    const weights = await load()
    const loadMs = performance.now() - began
    const unused = found.reason === undefined ? {} : { reason: found.reason }
    const { ternaryBytes, denseBytes } = weights
    if (loadMs < this.#minLoadMs || ternaryBytes + denseBytes < this.#minBytes) {
      const small = none('the model is small enough to load as quickly without')
      return settled(weights, { ...unused, ...small })
    }
    const kept = this.#keep(backend, path, identity, weights)
    return {
      weights,
      image: { state: 'writing', path, ...unused },
      kept: kept.then((image) => ({ ...unused, ...image })),
    }
  }

  /** Writes an image, or says why not: a model that has loaded must run in any case. */
  async #keep(
    backend: Backend,
    path: string,
    identity: ImageIdentity,
    weights: LoadedWeights,
  ): Promise<ImageReport> {
    try {
      if (await isBeingWritten(this.#folder, identity.name + IMAGE_SUFFIX)) {
        return none('another process is writing it')
      }
      const { manifest, fileBytes, parts } = planImage(identity, weights)
      const noRoom = await makeRoom(this.#folder, path, fileBytes)
      if (noRoom !== undefined) return none(noRoom)
      const start = encodeStart(manifest, fileBytes)
      await writeImage(backend, path, { start, parts, fileBytes })
      if (manifest.buffers.some(isSparse)) await leaveSparseEnds(backend, path, parts)
      return { state: 'written', path, byteLength: fileBytes }
    } catch (error) {
      return none(`it could not be written: ${messageOf(error)}`)
    }
  }
}

/** The memory of what is seldom read, and lies in the image now, is free for what the model does. */
async function leaveSparseEnds(
  backend: Backend,
  path: string,
  parts: readonly ImagePart[],
): Promise<void> {
  const { mapped, manifest } = await readMappedImage(backend, path)
  try {
    for (const [i, range] of manifest.buffers.entries()) {
      if (isSparse(range)) await mapped.takeSparseEnd(parts[i].buffer, range)
    }
  } finally {
    mapped.close()
  }
}

function isSparse({ sparseBytes }: ImageBuffer): boolean {
  return sparseBytes > 0
}

function none(reason: string): ImageReport {
  return { state: 'none', reason }
}

function settled(weights: LoadedWeights, image: ImageReport): KeptWeights {
  return { weights, image, kept: Promise.resolve(image) }
}

/** @returns weights over a mapped image, or why there are none; no reason where there is no image */
async function restore(
  { backend, meanwhile }: WeightRequest,
  path: string,
  identity: ImageIdentity,
): Promise<{ weights: LoadedWeights; byteLength: number } | { reason?: string }> {
  if ((await stat(path).catch(() => undefined)) === undefined) return {}
  try {
    const { mapped, manifest } = await readMappedImage(backend, path, meanwhile)
    try {
      if (manifest.identity !== identity.text) {
        return { reason: "the model's file or this program changed since the image was made" }
      }
      const now = new Date()
      // Only the order in which images are removed suffers where this is not allowed.
      await utimes(path, now, now).catch(() => {})
      return { weights: mapWeights(backend, mapped, manifest), byteLength: mapped.bytes.length }
    } finally {
      mapped.close()
    }
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

function mapWeights(backend: Backend, mapped: MappedFile, manifest: ImageManifest): LoadedWeights {
  const buffers = manifest.buffers.map((range) => mapped.buffer(range))
  const dispose = () => {
    for (const buffer of buffers.splice(0)) backend.free(buffer)
  }
  try {
    return rebuildWeights(manifest.tree, buffers, dispose)
  } catch (error) {
    dispose()
    throw error
  }
}

/**
 * Maps an image and checks it. The caller closes it.
 *
 * @param meanwhile called while other threads take the checksum
 * @throws FormatError | BackendError if it is none, or not whole
 */
export async function readMappedImage(
  backend: Backend,
  path: string,
  meanwhile?: () => void,
): Promise<{ mapped: MappedFile; manifest: ImageManifest }> {
  const mapping = backend.mapFile?.(path)
  meanwhile?.()
  const mapped = await mapping
  if (mapped === undefined) throw new Error('The backend does not map files.')
  try {
    const { bytes } = mapped
    const { checksum, manifestBytes } = decodePreamble(bytes, bytes.length, path)
    if (checksum !== mapped.checksum) {
      throw new FormatError(`The packed image ${path} is damaged: its checksum is another one.`, {
        field: 'checksum',
        path,
      })
    }
    const text = bytes.slice(PREAMBLE_BYTES, PREAMBLE_BYTES + manifestBytes)
    return { mapped, manifest: decodeManifest(text, bytes.length, path) }
  } catch (error) {
    mapped.close()
    throw error
  }
}

function planImage(
  { text: identity, source, settings }: ImageIdentity,
  weights: LoadedWeights,
): { manifest: ImageManifest; fileBytes: number; parts: ImagePart[] } {
  const { tree, buffers } = describeWeights(weights)
  const described = buffers.map(({ buffer, sparseBytes }) => {
    return { label: buffer.label, byteLength: buffer.byteLength, sparseBytes }
  })
  const manifestOf = (placed: ImageManifest['buffers']): ImageManifest => {
    return { identity, source, settings, tree, buffers: placed }
  }
  // Offsets are part of the manifest that they lie behind: room for the longest there can be.
  const longest = described.map((buffer) => ({ ...buffer, byteOffset: Number.MAX_SAFE_INTEGER }))
  const room = encodeStart(manifestOf(longest), 0).length - PREAMBLE_BYTES
  const { placed, fileBytes } = placeBuffers(described, room)
  const parts = placed.map(({ byteOffset }, i) => ({ buffer: buffers[i].buffer, byteOffset }))
  return { manifest: manifestOf(placed), fileBytes, parts }
}
