/**
 * Brings a named model into the cache: asks the hub which commit a revision is and what files it has,
 * chooses those that make a model, and fetches them.
 */
import { ModelNotFoundError } from '../../errors.ts'
import { chooseFiles } from '../../hub/choose-files.ts'
import { RefusedError } from '../../hub/download/hub-client.ts'
import { explainRefusal, explainStatus } from '../../hub/explain-answer.ts'
import { listRepository } from '../../hub/list-repository.ts'
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
  const { repo, revision = 'main' } = model
  const repository = { type: 'models', repo } as const
  const listed = await listRepository(client, repository, revision, options.signal)
  const { commit } = listed
  const chosen = chooseFiles(listed.files, repo, model.file)
  const files = listed.files
    .filter(({ path }) => chosen.paths.includes(path))
    .sort((a, b) => chosen.paths.indexOf(a.path) - chosen.paths.indexOf(b.path))
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  const { reason } = chosen
  const name = formatModelName(model)
  options.onChosen?.({ model: name, reason, files: files.length, totalBytes })
  const wanted = { repository, revision, commit, files }
  const { snapshot, ...pulled } = await pullFiles(client, wanted, options)
  return { model: name, path: openPath(snapshot, chosen), revision: commit, reason, ...pulled }
}
