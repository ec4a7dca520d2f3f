/**
 * Which packed images lie in the cache, as `inspect` says it of one model and `doctor` of all.
 */
import { resolve } from 'node:path'
import { imageFolder, listImages } from '../../../node/images/image-folder.ts'
import { formatBytes } from '../../console/quantities.ts'

/** Of one model. Whether an image still fits its model is found out when the model is loaded. */
export interface ImageFact {
  readonly path: string
  readonly byteLength: number
  readonly settings: string | null
}

export interface ImageTotals {
  readonly folder: string
  readonly count: number
  readonly byteLength: number
}

/** @param modelPath the name of the model's opened file */
export async function imagesOf(modelPath: string): Promise<ImageFact[]> {
  const source = resolve(modelPath)
  return (await listImages())
    .filter((image) => image.source === source)
    .map(({ path, byteLength, settings = null }) => ({ path, byteLength, settings }))
}

export async function allImages(): Promise<ImageTotals> {
  const images = await listImages()
  const byteLength = images.reduce((sum, image) => sum + image.byteLength, 0)
  return { folder: imageFolder(), count: images.length, byteLength }
}

/** One line for people. */
export function describeImages(images: readonly ImageFact[]): string {
  const each = images.map(
    ({ settings, byteLength }) => `${settings ?? 'unknown'} (${formatBytes(byteLength)})`,
  )
  return each.length === 0
    ? 'No packed image: a start that takes 0.3 s or more leaves one for the next.'
    : `Packed images for quick starts: ${each.join('; ')}`
}
