/**
 * Brings a model into the store: asks the server what it has, fetches what is missing, and forgets what another
 * version left.
 */
import { BitnetError } from '../../errors.ts'
import type { DownloadProgress } from '../../generate/load/load-options.ts'
import { blobSource } from '../../hub/blob-source.ts'
import { fetchChanging, refuseForeign } from '../../hub/download/changing-file.ts'
import { type DownloadTuning, downloadFile } from '../../hub/download/download-file.ts'
import { probeContent } from '../../hub/download/fetch-span.ts'
import type { HubClient } from '../../hub/download/hub-client.ts'
import { quantity } from '../../hub/download/no-space.ts'
import { type ContentIdentity, unfinishedNames } from '../../hub/download/piece-journal.ts'
import { transferMeter } from '../../hub/download/transfer-meter.ts'
import { listModel } from '../../hub/list-repository.ts'
import { formatModelName, type HubModel, type UrlModel } from '../../hub/model-name.ts'
import { inPlainWords } from '../../hub/remote-model.ts'
import { isSafePath, resolvePath } from '../../hub/repo-file.ts'
import { fileOf, partUrls } from '../../hub/url-folder.ts'
import type { NamedModel } from '../named-model.ts'
import { FACTS_FILE, type KeptFacts, type KeptFile, nameFor, writeFacts } from './kept-files.ts'
import type { PrivateFiles } from './private-files.ts'
import { holdLock } from './site-lock.ts'

/** Browsers open six connections to a server; some are left for the page. */
const TUNING: DownloadTuning = { connections: 3, pieceBytes: 16 << 20 }

export interface PullSurroundings {
  readonly client: HubClient
  readonly files: PrivateFiles
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A file that is to be there, and where from. */
interface WantedFile extends KeptFile {
  readonly url: string
  readonly identity: ContentIdentity
}

interface WantedModel extends KeptFacts {
  readonly files: readonly WantedFile[]
}

/**
 * @param folder the model's own
 * @throws ModelNotFoundError | DownloadError | FormatError, BitnetError with code DISK_FULL, or the signal's reason
 */
export async function pullModel(
  model: NamedModel,
  folder: string,
  around: PullSurroundings,
): Promise<void> {
  try {
    const wanted = await (model.kind === 'hub' ? atHub(model, around) : atAddress(model, around))
    await pull(wanted, folder, around).catch((error: unknown) => {
      if (!(error instanceof BitnetError && error.code === 'DISK_FULL')) throw error
      const takes = `${wanted.name} takes ${quantity(bytesOf(wanted))}.`
      throw new BitnetError('DISK_FULL', `${takes} ${error.message}`, { cause: error })
    })
  } catch (error) {
    throw inPlainWords(error, model, around.client.access)
  }
}

function bytesOf({ files }: WantedModel): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function atHub(model: HubModel, { client, signal }: PullSurroundings): Promise<WantedModel> {
  const { commit, chosen, files } = await listModel(client, model, signal)
  return {
    name: formatModelName(model),
    commit,
    main: chosen.main,
    files: files.map(({ path, size, hash }) => ({
      ...{ path, bytes: size, stored: hash.hex },
      url: client.access.endpoint + resolvePath(model.repo, commit, path),
      identity: { size, hash },
    })),
  }
}

async function atAddress(model: UrlModel, around: PullSurroundings): Promise<WantedModel> {
  const files: WantedFile[] = []
  for (const url of partUrls(new URL(model.url))) {
    files.push(await fileAt(url, await probeContent(url.href, around.client, around.signal)))
  }
  return { name: model.url, commit: undefined, main: mainOf(new URL(model.url)), files }
}

async function fileAt(url: URL, { size, tag }: ContentIdentity): Promise<WantedFile> {
  const stored = await nameFor(JSON.stringify([url.href, size, tag]))
  // Other sites would have to allow an If-Range; the tag of each answer is compared all the same.
  return { path: mainOf(url), bytes: size, stored, url: url.href, identity: { size, tag } }
}

function mainOf(url: URL): string {
  const name = fileOf(url)
  return isSafePath(name) ? name : 'model.gguf'
}

async function pull(wanted: WantedModel, folder: string, around: PullSurroundings): Promise<void> {
  const { files: store, signal } = around
  const place = (name: string): string => `${folder}/${name}`
  await requireSpace(wanted, place, store)
  const isNew = (await store.size(place(FACTS_FILE))) === undefined
  // Whoever lists models sees what a part is of.
  if (isNew) await locked(folder, signal, () => keepFacts(wanted, place, store))
  const meter = transferMeter(bytesOf(wanted), around.onDownload)
  const download = async (file: WantedFile): Promise<WantedFile> => {
    const { url, identity, path, stored } = file
    const target = { url, target: place(stored), lockName: folder, ...identity }
    await downloadFile(target, meter.events(path), { ...around, store, tuning: TUNING })
    if (identity.hash === undefined) await requireModel(file, place, store, isNew)
    return file
  }
  const files: WantedFile[] = []
  for (const file of wanted.files) {
    const { url, identity } = file
    const fetch = async (now: ContentIdentity) =>
      download(now === identity ? file : await fileAt(new URL(url), now))
    files.push(await fetchChanging(url, identity, fetch, around))
  }
  await locked(folder, signal, async () => {
    await keepFacts({ ...wanted, files }, place, store)
    const needed = [FACTS_FILE, ...files.map(({ stored }) => stored)]
    for (const name of await store.list(folder)) {
      if (!needed.includes(name)) await store.remove(place(name))
    }
  })
}

async function locked(
  folder: string,
  signal: AbortSignal | undefined,
  use: () => Promise<void>,
): Promise<void> {
  const release = await holdLock(folder, 'exclusive', { signal })
  try {
    await use()
  } finally {
    release()
  }
}

/** Of a name in the model's folder. */
type Place = (name: string) => string

/** Before the first of several files, not after ten of twelve. */
async function requireSpace(
  { files }: WantedModel,
  place: Place,
  store: PrivateFiles,
): Promise<void> {
  let needed = 0
  for (const { stored, bytes } of files) {
    const target = place(stored)
    const there = (await store.size(target)) ?? (await store.size(unfinishedNames(target).data))
    needed += bytes - Math.min(bytes, there ?? 0)
  }
  if (needed > 0) await store.requireSpace('', needed)
}

/** In place of what was known, at once. */
async function keepFacts(
  { name, commit, main, files }: WantedModel,
  place: Place,
  store: PrivateFiles,
): Promise<void> {
  const kept = files.map(({ path, bytes, stored }) => ({ path, bytes, stored }))
  const aside = place(`${FACTS_FILE}.next`)
  const file = await store.open(aside, 'write')
  try {
    await file.truncate(0)
    await file.write(writeFacts({ name, commit, main, files: kept }), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await store.rename(aside, place(FACTS_FILE))
}

/** Takes away again what is no model, and all of it where nothing else was known. */
async function requireModel(
  { url, path, stored }: WantedFile,
  place: Place,
  store: PrivateFiles,
  isNew: boolean,
): Promise<void> {
  const file = await store.file(place(stored))
  if (file === undefined) return
  try {
    await refuseForeign(url, path, blobSource(file, url))
  } catch (error) {
    await store.remove(place(stored))
    if (isNew) await store.remove(place(FACTS_FILE))
    throw error
  }
}
