/**
 * Brings a file of any server into the cache. There is no hash to check it against: its size and the
 * server's tag have to do, and a file that changes meanwhile is fetched anew.
 */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DownloadError } from '../../errors.ts'
import { downloadFile } from '../../hub/download/download-file.ts'
import { ContentChangedError, probeContent } from '../../hub/download/fetch-span.ts'
import type { ContentIdentity } from '../../hub/download/piece-journal.ts'
import { TransferMeter } from '../../hub/download/transfer-meter.ts'
import type { UrlModel } from '../../hub/model-name.ts'
import { fileSize } from '../files/system.ts'
import { writeWhole } from '../files/write-file.ts'
import { lockPath, SOURCE_FILE, URL_FOLDER, urlPlace } from './cache-layout.ts'
import { diskStore, USUAL_TUNING } from './disk-store.ts'
import type { NodeClient } from './node-client.ts'
import { fileEvents, type PulledModel, type PullOptions } from './pull-report.ts'

/** Changes of the file in the middle of a download before that is final. */
const MAX_CHANGES = 3

export async function pullUrl(
  client: NodeClient,
  { url }: UrlModel,
  options: PullOptions,
): Promise<PulledModel> {
  const { signal, tuning = USUAL_TUNING } = options
  const cache = client.settings.cacheFolder
  const { folder, path, name } = urlPlace(cache, url)
  const around = { client, store: diskStore(tuning), tuning, signal }
  await mkdir(folder, { recursive: true })
  for (let changes = 0; ; changes++) {
    const identity = await probeContent(url, client, signal)
    const reason = `${name}: the file at this address`
    const { size, tag } = identity
    options.onChosen?.({ model: url, reason, files: 1, totalBytes: size })
    const meter = new TransferMeter(size)
    // What was fetched earlier is replaced if the server has another version now.
    if (!(await isSame(folder, path, identity))) await rm(path, { force: true })
    const lockName = lockPath(cache, URL_FOLDER, basename(folder))
    const wanted = { url, target: path, lockName, ...identity }
    try {
      const fetched = await downloadFile(wanted, fileEvents(name, meter, options), around)
      await writeWhole(join(folder, SOURCE_FILE), JSON.stringify({ url, size, tag: tag ?? null }))
      return {
        model: url,
        path,
        revision: undefined,
        reason,
        files: [{ path: name, bytes: size, fetched }],
        totalBytes: size,
        fetchedBytes: meter.fetchedBytes,
      }
    } catch (error) {
      if (!(error instanceof ContentChangedError)) throw error
      if (changes + 1 < MAX_CHANGES) continue
      throw new DownloadError(
        `Expected ${url} to stay the same while it is fetched, but it changed ${MAX_CHANGES} times. ` +
          'Fetch it when it is finished.',
        { url },
      )
    }
  }
}

async function isSame(folder: string, path: string, identity: ContentIdentity): Promise<boolean> {
  if ((await fileSize(path)) !== identity.size) return false
  const text = await readFile(join(folder, SOURCE_FILE), 'utf8').catch(() => '')
  return text.includes(`"tag":${JSON.stringify(identity.tag ?? null)}}`)
}
