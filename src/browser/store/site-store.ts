/**
 * The store of models in the browser's private files (OPFS): a folder for each, whose name is made of the model's.
 */

import { BitnetError, ModelNotFoundError } from '../../errors.ts'
import type { OpenedModel } from '../../formats/model-file.ts'
import { checkSideFileSize } from '../../formats/model-folder.ts'
import { blobSource } from '../../hub/blob-source.ts'
import { noSpace, quantity } from '../../hub/download/no-space.ts'
import { formatModelName } from '../../hub/model-name.ts'
import { openInTree } from '../../hub/remote-model.ts'
import { checkOptions, TEXT } from '../../option-checks.ts'
import { type NamedModel, namedModel } from '../named-model.ts'
import { namesIn } from '../private-folder.ts'
import { HUB, webClient } from '../web-client.ts'
import { filesOfPage } from './files-of-page.ts'
import { FACTS_FILE, type KeptFacts, nameFor, readFacts } from './kept-files.ts'
import type { KeepOptions, KeptModel, ModelStore, StoreOptions } from './open-store.ts'
import { type PrivateFiles, privateFiles } from './private-files.ts'
import { pullModel } from './pull-model.ts'
import { holdLock, lockAtOnce } from './site-lock.ts'
import { hasSyncFiles, openSyncFile } from './sync-file.ts'

const FOLDER = 'bitnet-ts-models'

export async function openSiteStore(options: StoreOptions): Promise<ModelStore> {
  checkOptions<StoreOptions>('openModelStore', options, { hub: { ...TEXT, also: ['endpoint'] } })
  return new SiteStore(await openFolder(), (options.hub ?? HUB).replace(/\/+$/, ''))
}

class SiteStore implements ModelStore {
  readonly #root: FileSystemDirectoryHandle
  readonly #hub: string
  readonly #files: PrivateFiles

  constructor(root: FileSystemDirectoryHandle, hub: string) {
    this.#root = root
    this.#hub = hub
    const openFile = hasSyncFiles() ? openSyncFile : filesOfPage()
    this.#files = privateFiles(root, openFile, (bytes, thrown) => this.#noSpace(bytes, thrown))
  }

  async list(): Promise<KeptModel[]> {
    const models: KeptModel[] = []
    for (const folder of await namesIn(this.#root)) models.push(await this.#describe(folder))
    // A fetch that failed at its start leaves a folder, and nothing in it.
    const found = models.filter(({ bytes }) => bytes > 0)
    return found.sort((a, b) => a.name.localeCompare(b.name, 'en'))
  }

  async pull(source: string | URL, options: KeepOptions = {}): Promise<KeptModel> {
    return this.#describe(await this.#pull(namedModel(`${source}`), options))
  }

  async delete(name: string): Promise<void> {
    const folder = await this.#folderOf(name)
    const release = await lockAtOnce(folder, 'exclusive')
    if (release === undefined) {
      throw new BitnetError(
        'CACHE',
        `Expected nobody to use ${name}, but this page or another one of the site is loading or fetching it. ` +
          'Delete it afterwards.',
      )
    }
    try {
      await this.#root.removeEntry(folder, { recursive: true })
    } finally {
      release()
    }
  }

  async space() {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate()
    const isPersistent = await navigator.storage.persisted()
    return { usedBytes: usage, freeBytes: Math.max(0, quota - usage), isPersistent }
  }

  persist(): Promise<boolean> {
    const { storage } = navigator
    return 'persist' in storage ? storage.persist() : (storage as StorageManager).persisted()
  }

  async open(model: NamedModel, options: KeepOptions): Promise<OpenedModel> {
    const folder = await nameFor(formatModelName(model))
    for (;;) {
      const release = await holdLock(folder, 'shared', options)
      try {
        const facts = await this.#wholeFacts(folder)
        if (facts !== undefined) return await this.#openKept(folder, facts, release)
      } catch (error) {
        release()
        throw error
      }
      release()
      await this.#pull(model, options)
    }
  }

  /** @returns the model's folder */
  async #pull(model: NamedModel, options: KeepOptions): Promise<string> {
    const folder = await nameFor(formatModelName(model))
    const client = webClient(this.#hub, 'no-store')
    await pullModel(model, folder, { client, files: this.#files, ...options })
    return folder
  }

  /** @param release called when it is closed */
  async #openKept(folder: string, facts: KeptFacts, release: () => void): Promise<OpenedModel> {
    const stored = new Map(facts.files.map(({ path, stored }) => [path, `${folder}/${stored}`]))
    const pathOf = (path: string): string => `${facts.name}/${path}`
    const find = async (path: string): Promise<File | undefined> => {
      const name = stored.get(path)
      return name === undefined ? undefined : this.#files.file(name)
    }
    const tree = {
      name: facts.name,
      pathOf,
      open: async (path: string) => {
        const file = await find(path)
        if (file !== undefined) return blobSource(file, pathOf(path), 'Load it again.')
        throw new ModelNotFoundError(`Expected ${pathOf(path)} in the store, found none.`, {
          source: facts.name,
        })
      },
      read: async (path: string) => {
        const file = await find(path)
        if (file === undefined) return undefined
        checkSideFileSize(pathOf(path), file.size)
        return new Uint8Array(await file.arrayBuffer())
      },
    }
    const paths = facts.files.map(({ path }) => path)
    const { file, ...rest } = await openInTree(tree, { paths, main: facts.main })
    const close = async (): Promise<void> => {
      await file.close()
      release()
    }
    return { ...rest, file: { ...file, close } }
  }

  async #wholeFacts(folder: string): Promise<KeptFacts | undefined> {
    const facts = await this.#facts(folder)
    return facts && (await this.#isWhole(folder, facts)) ? facts : undefined
  }

  async #facts(folder: string): Promise<KeptFacts | undefined> {
    const file = await this.#files.file(`${folder}/${FACTS_FILE}`)
    return file && readFacts(await file.text())
  }

  async #isWhole(folder: string, { files }: KeptFacts): Promise<boolean> {
    for (const { stored, bytes } of files) {
      if ((await this.#files.size(`${folder}/${stored}`)) !== bytes) return false
    }
    return true
  }

  async #describe(folder: string): Promise<KeptModel> {
    const facts = await this.#facts(folder)
    let [bytes, fetched] = [0, 0]
    for (const name of await this.#files.list(folder)) {
      const file = await this.#files.file(`${folder}/${name}`)
      bytes += file?.size ?? 0
      if (name === FACTS_FILE) fetched = file?.lastModified ?? 0
    }
    return {
      name: facts?.name ?? unfinishedName(folder),
      bytes,
      isWhole: facts !== undefined && (await this.#isWhole(folder, facts)),
      commit: facts?.commit,
      fetched: new Date(fetched),
    }
  }

  async #folderOf(name: string): Promise<string> {
    const folders = await namesIn(this.#root)
    const asked = await nameFor(formatModelName(namedModel(name)))
    const found = folders.find((folder) => folder === asked || unfinishedName(folder) === name)
    if (found !== undefined) return found
    const names = (await this.list()).map((model) => model.name)
    throw new ModelNotFoundError(
      `Expected a kept model, got ${name}. ${names.length === 0 ? 'None is kept.' : `Kept are ${names.join(', ')}.`}`,
      { source: name },
    )
  }

  /** The error of so many bytes that do not fit; undefined if they do, and nothing was thrown. */
  async #noSpace(bytes: number, thrown?: unknown): Promise<BitnetError | undefined> {
    const { freeBytes, usedBytes, isPersistent } = await this.space()
    if (thrown === undefined && freeBytes >= bytes) return undefined
    const models = (await this.list()).sort((a, b) => b.bytes - a.bytes)
    const kept = models.map((model) => `${model.name} (${quantity(model.bytes)})`).join(', ')
    const advice = [
      kept === '' ? 'No model is kept.' : `Kept are ${kept}: delete what is not needed.`,
      'A browser gives each site a share of the free disk, and private windows less.',
      ...(isPersistent ? [] : ['Some give more to a site that may keep things: persist().']),
    ].join(' ')
    if (thrown === undefined) {
      return noSpace(bytes, freeBytes, "in the browser's files of this site", advice)
    }
    // What browsers state as free may be any number, so that sites learn nothing of the disk.
    return new BitnetError(
      'DISK_FULL',
      'Expected to write more, but the browser has no room for it: its share for this site, or the disk, is ' +
        `full. ${quantity(usedBytes)} are in use. ${advice}`,
      { cause: thrown },
    )
  }
}

/** Where no facts were written: the page ended before. */
function unfinishedName(folder: string): string {
  return `unfinished download ${folder.slice(0, 12)}`
}

async function openFolder(): Promise<FileSystemDirectoryHandle> {
  const refused = (cause?: unknown): BitnetError =>
    new BitnetError(
      'CACHE',
      'Expected private files of the browser (OPFS) to keep models in, but there are none here. Pages from ' +
        'https: or from localhost have them; private windows of some browsers do not. Load without a store.',
      { cause },
    )
  if (navigator.storage?.getDirectory === undefined) throw refused()
  try {
    const root = await navigator.storage.getDirectory()
    return await root.getDirectoryHandle(FOLDER, { create: true })
  } catch (error) {
    throw refused(error)
  }
}
