/**
 * The hash of a stored file, in the two forms by which the hub names contents.
 */
import type { ContentHash } from '../repo-file.ts'
import type { DownloadStore } from './store.ts'

const CHUNK_BYTES = 4 << 20

/**
 * True if the file has this content.
 *
 * @param onBytes told after each part with its length
 */
export async function hasContent(
  store: DownloadStore,
  name: string,
  hash: ContentHash,
  options: {
    readonly onBytes?: ((count: number) => void) | undefined
    readonly signal?: AbortSignal | undefined
  } = {},
): Promise<boolean> {
  const size = await store.size(name)
  const file = await store.open(name, 'read')
  try {
    const hasher = await store.hasher(hash.algorithm === 'sha256' ? 'sha256' : 'sha1')
    if (hash.algorithm === 'git-sha1') hasher.update(new TextEncoder().encode(`blob ${size}\0`))
    const buffer = new Uint8Array(CHUNK_BYTES)
    for (let at = 0; ; ) {
      options.signal?.throwIfAborted()
      const count = await file.read(buffer, at)
      if (count === 0) break
      hasher.update(buffer.subarray(0, count))
      at += count
      options.onBytes?.(count)
    }
    return hasher.digest() === hash.hex
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
