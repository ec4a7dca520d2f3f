/**
 * What a page asks of a store of models, and how it comes by one. What the store is made of is loaded with the first.
 */
import type { OpenedModel } from '../../formats/model-file.ts'
import type { DownloadProgress } from '../../generate/load/load-options.ts'
import type { NamedModel } from '../named-model.ts'

export interface KeptModel {
  /** As `loadModel` and `delete` take it: "owner/name" with what else was named, or an address. */
  readonly name: string
  /** In the browser's files, unfinished downloads included. */
  readonly bytes: number
  /** Whether all of it is there; a part of a model goes on where it was. */
  readonly isWhole: boolean
  /** What the revision was when it was fetched; undefined for an address. */
  readonly commit: string | undefined
  /** When it was last fetched; for a part, when that began. */
  readonly fetched: Date
}

export interface StoreSpace {
  /** What this site has in the browser's files, other things than models included. */
  readonly usedBytes: number
  /** What it may write yet. */
  readonly freeBytes: number
  /** Whether the browser keeps it until somebody deletes it, also when the disk gets full. */
  readonly isPersistent: boolean
}

export interface KeepOptions {
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Models kept in the browser's private files of this site. All pages and workers of the site share them. */
export interface ModelStore {
  /** All models, by name. */
  list(): Promise<KeptModel[]>
  /**
   * Fetches a model, or what is missing of it, or what is new: the server is asked which version it has.
   *
   * @param source an address, relative to the page if it is a text; or a model of the hub by name
   * @throws ModelNotFoundError | DownloadError | FormatError | UsageError, BitnetError with code DISK_FULL or
   *   CACHE, or the signal's reason; what came is kept
   */
  pull(source: string | URL, options?: KeepOptions): Promise<KeptModel>
  /**
   * Removes a model with everything that was fetched of it.
   *
   * @param name as {@link list} gives it, or as it was loaded by
   * @throws ModelNotFoundError if there is none; BitnetError with code CACHE while it is loaded or fetched
   */
  delete(name: string): Promise<void>
  space(): Promise<StoreSpace>
  /**
   * Asks the browser to keep what is here until somebody deletes it; some ask the person. Only pages may ask; in a
   * worker it tells whether the page has.
   *
   * @returns whether it does
   */
  persist(): Promise<boolean>
  /** @internal Opens a model, which is fetched first if it is not there as a whole. */
  open(model: NamedModel, options: KeepOptions): Promise<OpenedModel>
}

export interface StoreOptions {
  /** Address of the hub, or of a mirror of it; unset: https://huggingface.co. */
  readonly hub?: string
}

/**
 * Opens the store of this site; `loadModel(source, { store })` takes models from it and keeps them there.
 *
 * @throws BitnetError with code CACHE where the browser offers no private files
 *
 * @example
 * const store = await openModelStore()
 * const model = await loadModel('bitnet-2b', { store, onDownload: ({ doneBytes }) => show(doneBytes) })
 * for (const { name, bytes } of await store.list()) console.log(name, bytes)
 * await store.delete('bitnet-2b')
 */
export async function openModelStore(options: StoreOptions = {}): Promise<ModelStore> {
  const { openSiteStore } = await import('./site-store.ts')
  return openSiteStore(options)
}
