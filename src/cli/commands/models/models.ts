/**
 * `bitnet models`: the short names, and which of them are in the cache.
 */
import { MODEL_ALIASES } from '../../../hub/aliases.ts'
import { findCached } from '../../../node/hub/cached-model.ts'
import { readHubSettings } from '../../../node/hub/hub-settings.ts'
import { DEFAULT_MODEL, EMBEDDED } from '../../../node/resolve-model.ts'
import { formatBytes } from '../../console/quantities.ts'
import { defineCommand, type JsonFlag } from '../../define-command.ts'

const HEADER = ['name', 'kind', 'size', 'context', 'licence', 'cached', 'repository']

export const command = defineCommand<JsonFlag>({
  examples: `\
  $ bitnet models
  $ bitnet chat -m bitnet-2b      fetches it first if it is not in the cache`,
  async run(context) {
    const { cacheFolder } = await readHubSettings(context.env)
    const models = await Promise.all(
      MODEL_ALIASES.map(async (alias) => {
        const path = await findCached(cacheFolder, { kind: 'hub', repo: alias.repo })
        return { ...alias, cached: path !== undefined }
      }),
    )
    await context.print({ embedded: DEFAULT_MODEL, models }, () => {
      const rows = models.map(({ name, kind, bytes, context: tokens, licence, cached, repo }) => [
        name,
        kind,
        bytes === undefined ? '?' : formatBytes(bytes),
        String(tokens),
        licence,
        cached ? 'yes' : '',
        repo,
      ])
      return [
        { header: HEADER, rows, right: [2, 3] },
        '',
        `Embedded: ${DEFAULT_MODEL}, or "${EMBEDDED}". Any other model by owner/name; sizes are about what is fetched.`,
      ]
    })
  },
})
