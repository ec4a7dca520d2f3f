/**
 * What a file of any server needs that has no hash to be checked against: its size and the server's tag have
 * to do, one that changes meanwhile is fetched anew, and a page that came in its place is refused.
 */
import { DownloadError } from '../../errors.ts'
import { foreignContent, TELLING_BYTES } from '../../formats/foreign-content.ts'
import { isGgufName } from '../../formats/gguf/index.ts'
import type { ByteSource } from '../../formats/model-file.ts'
import type { DownloadSurroundings } from './download-file.ts'
import { ContentChangedError, probeContent } from './fetch-span.ts'
import type { ContentIdentity } from './piece-journal.ts'

/** Changes of a file in the middle of a download before that is final. */
const MAX_CHANGES = 3

/**
 * What `fetch` gives, which is called again with what the server says then if the file changed under it.
 *
 * @param first what the server said of it before
 * @throws DownloadError if it does not stay the same, and whatever `fetch` throws
 */
export async function fetchChanging<T>(
  url: string,
  first: ContentIdentity,
  fetch: (identity: ContentIdentity) => Promise<T>,
  { client, signal }: Pick<DownloadSurroundings, 'client' | 'signal'>,
): Promise<T> {
  let identity = first
  for (let changes = 1; ; changes++) {
    try {
      return await fetch(identity)
    } catch (error) {
      if (!(error instanceof ContentChangedError)) throw error
      if (changes === MAX_CHANGES) {
        throw new DownloadError(
          `Expected ${url} to stay the same while it is fetched, but it changed ${MAX_CHANGES} times. ` +
            'Fetch it when it is finished.',
          { url },
        )
      }
      identity = await probeContent(url, client, signal)
    }
  }
}

/**
 * A page that came in place of a file would be taken for the model from then on.
 *
 * @throws DownloadError for what is clearly no model
 */
export async function refuseForeign(url: string, name: string, source: ByteSource): Promise<void> {
  const start = await source.read(0, Math.min(source.size, TELLING_BYTES))
  const foreign = foreignContent(start, isGgufName(name) ? 'gguf' : 'safetensors')
  if (foreign === '') return
  throw new DownloadError(`Expected a model from ${url}, got something else.${foreign}`, { url })
}
