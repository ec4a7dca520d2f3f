/**
 * From a model's name to a path on this machine: the one that comes with the package, a file or folder,
 * or a model of the hub, which is taken from the cache or fetched into it.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ModelNotFoundError } from '../errors.ts'
import { type HubModel, parseModelName, type UrlModel } from '../hub/model-name.ts'
import type { Environment } from './files/folders.ts'
import { statOf } from './files/system.ts'
import { findCached } from './hub/cached-model.ts'
import { type HubSettings, readHubSettings } from './hub/hub-settings.ts'
import type { PullOptions } from './hub/pull-files.ts'

/** The model that comes with the package, and what loads when none is named. */
export const DEFAULT_MODEL = 'bitnet-ja-en-58m'

/** The same model, whichever it is: as help and servers call it. */
export const EMBEDDED = 'embedded'

/** Whether the model that comes with the package is meant. */
export function isEmbedded(
  source: string | undefined,
): source is undefined | typeof EMBEDDED | typeof DEFAULT_MODEL {
  return source === undefined || source === EMBEDDED || source === DEFAULT_MODEL
}

/** Where a model may come from, and what is told while it is fetched. */
export interface ResolveOptions extends PullOptions {
  /** For HF_HOME, HF_TOKEN and the like; unset: this process's. */
  readonly env?: Environment | undefined
}

/** What a name stands for. */
export type ResolvedName =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'remote'; readonly model: HubModel | UrlModel; readonly settings: HubSettings }

/** The folder is beside src and beside dist. */
export function defaultModelPath(): string {
  return fileURLToPath(new URL(`../../models/${DEFAULT_MODEL}.gguf`, import.meta.url))
}

/**
 * The path behind a model's name or path. A model of the hub that is cached is used as it is, without
 * asking whether there is a newer one; one that is not is fetched.
 *
 * @throws ModelNotFoundError saying what was looked for and where
 * @throws UsageError | DownloadError
 */
export async function resolveModel(
  source: string | undefined,
  options: ResolveOptions = {},
): Promise<string> {
  const resolved = await resolveName(source, options.env)
  if (resolved.kind === 'path') return resolved.path
  const { model, settings } = resolved
  const cached = await findCached(settings.cacheFolder, model)
  if (cached !== undefined) return cached
  // Most starts fetch nothing, and need not wait for what speaks HTTP.
  const { notCached, pullModel } = await import('./hub/pull-model.ts')
  if (settings.offline) throw notCached(model, settings)
  return (await pullModel(model, settings, options)).path
}

/**
 * What a name stands for, without fetching anything. The embedded model's names win over everything,
 * and a path that exists over a model of the hub; "./name" is always a path, "hf:owner/name" never.
 *
 * @throws ModelNotFoundError if it can only be a path, and there is nothing there
 */
export async function resolveName(
  source: string | undefined,
  env?: Environment,
): Promise<ResolvedName> {
  if (isEmbedded(source)) {
    const path = defaultModelPath()
    if ((await statOf(path)) !== undefined) return { kind: 'path', path }
    throw new ModelNotFoundError(
      `Expected the embedded model ${DEFAULT_MODEL} at ${path}, but there is no such file. ` +
        'Reinstall the package, or give the path of another model.',
      { source: DEFAULT_MODEL },
    )
  }
  if ((await statOf(source)) !== undefined) return { kind: 'path', path: source }
  const settings = await readHubSettings(env)
  const model = parseModelName(source, settings.endpoint)
  if (model !== undefined) return { kind: 'remote', model, settings }
  throw new ModelNotFoundError(
    `Expected "${source}" to be a .gguf file, a .safetensors file or a model folder, or the name ` +
      `of a model: ${DEFAULT_MODEL}, owner/name of the hub, or one that "bitnet models" lists. ` +
      `There is nothing at ${resolve(source)}. Check the spelling.`,
    { source },
  )
}
