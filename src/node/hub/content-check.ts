/**
 * The hash of a file on disk, in the two forms by which the hub names contents.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { ContentHash } from '../../hub/repo-file.ts'

const CHUNK_BYTES = 4 << 20

/**
 * True if the file has this content.
 *
 * @param onBytes told after each part with its length
 */
export async function hasContent(
  path: string,
  hash: ContentHash,
  options: { readonly onBytes?: (count: number) => void; readonly signal?: AbortSignal } = {},
): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const hasher = createHash(hash.algorithm === 'sha256' ? 'sha256' : 'sha1')
    if (hash.algorithm === 'git-sha1') hasher.update(`blob ${(await file.stat()).size}\0`)
    const buffer = new Uint8Array(CHUNK_BYTES)
    for (;;) {
      options.signal?.throwIfAborted()
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null)
      if (bytesRead === 0) break
      hasher.update(buffer.subarray(0, bytesRead))
      options.onBytes?.(bytesRead)
    }
    return hasher.digest('hex') === hash.hex
  } finally {
    await file.close()
  }
}

/** The hash by which a blob of the cache is named; undefined for names that are no hash. */
export function hashOfBlobName(name: string): ContentHash | undefined {
  if (/^[0-9a-f]{64}$/.test(name)) return { algorithm: 'sha256', hex: name }
  if (/^[0-9a-f]{40}$/.test(name)) return { algorithm: 'git-sha1', hex: name }
  return undefined
}
