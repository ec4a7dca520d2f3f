/**
 * Brings a named model into the cache: asks the hub which files make it, and fetches them.
 */
import { ModelNotFoundError } from '../../errors.ts'
import { RefusedError } from '../../hub/download/hub-client.ts'
import { explainRefusal, explainStatus } from '../../hub/explain-answer.ts'
import { listModel } from '../../hub/list-repository.ts'
import { formatModelName, type HubModel, type UrlModel } from '../../hub/model-name.ts'
import { openPath } from './cached-model.ts'
import type { HubSettings } from './hub-settings.ts'
import type { NodeClient } from './node-client.ts'
import { pullFiles, withClient } from './pull-files.ts'
import type { PulledModel, PullOptions } from './pull-report.ts'
import { pullUrl } from './pull-url.ts'

/**
 * @throws ModelNotFoundError if there is no such repository, revision or file, or nothing in it runs
 * @throws DownloadError if the network or the hub refuses, BitnetError with code DISK_FULL if the disk
 *   does; what came is kept
 */
export async function pullModel(
  model: HubModel | UrlModel,
  settings: HubSettings,
  options: PullOptions = {},
): Promise<PulledModel> {
  if (settings.offline) throw notCached(model, settings)
  const explain = (error: unknown) => inPlainWords(error, model, settings)
  return withClient(settings, options, explain, (client) =>
    model.kind === 'url' ? pullUrl(client, model, options) : pullRepository(client, model, options),
  )
}

/** The error of a name that may not be asked for. */
export function notCached(model: HubModel | UrlModel, settings: HubSettings): ModelNotFoundError {
  const name = formatModelName(model)
  return new ModelNotFoundError(
    `Expected ${name} in the cache at ${settings.cacheFolder}, because HF_HUB_OFFLINE is set, but it ` +
      `is not there as a whole. Unset HF_HUB_OFFLINE and run "bitnet pull ${name}" once.`,
    { source: name },
  )
}

/** Turns a refusal into a message for people; leaves other errors alone. */
export function inPlainWords(
  error: unknown,
  model: HubModel | UrlModel,
  { endpoint, token }: HubSettings,
): unknown {
  if (!(error instanceof RefusedError)) return error
  if (model.kind === 'url') return explainStatus(error.refusal)
  return explainRefusal(error.refusal, model, endpoint, token !== undefined)
}

async function pullRepository(
  client: NodeClient,
  model: HubModel,
  options: PullOptions,
): Promise<PulledModel> {
  const listed = await listModel(client, model, options.signal)
  const { commit, chosen, files, totalBytes } = listed
  const { reason } = chosen
  const name = formatModelName(model)
  options.onChosen?.({ model: name, reason, files: files.length, totalBytes })
  const wanted = { ...listed, revision: model.revision ?? 'main' }
  const { snapshot, ...pulled } = await pullFiles(client, wanted, options)
  return { model: name, path: openPath(snapshot, chosen), revision: commit, reason, ...pulled }
}
