/**
 * `bitnet models`: the short names, and which of them are in the cache.
 */
import type { Command } from 'commander'
import { MODEL_ALIASES } from '../../../hub/aliases.ts'
import { findCached } from '../../../node/hub/cached-model.ts'
import { readHubSettings } from '../../../node/hub/hub-settings.ts'
import { DEFAULT_MODEL } from '../../../node/resolve-model.ts'
import { formatBytes } from '../../console/quantities.ts'
import { EXIT, type Surroundings } from '../../console/surroundings.ts'
import { formatTable } from '../../console/table.ts'
import { writeJson, writeLine } from '../../console/terminal.ts'

interface ModelsFlags {
  readonly json?: boolean
}

export function addModelsCommand(
  command: Command,
  run: (flags: ModelsFlags) => Promise<void>,
): void {
  command
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet models
  $ bitnet chat -m bitnet-2b      fetches it first if it is not in the cache`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runModels(
  flags: ModelsFlags,
  { stdout, env }: Surroundings,
): Promise<number> {
  const { cacheFolder } = await readHubSettings(env)
  const models = await Promise.all(
    MODEL_ALIASES.map(async (alias) => {
      const path = await findCached(cacheFolder, { kind: 'hub', repo: alias.repo })
      return { ...alias, cached: path !== undefined }
    }),
  )
  if (flags.json) {
    await writeJson(stdout, { embedded: DEFAULT_MODEL, models })
    return EXIT.ok
  }
  const rows = models.map(({ name, kind, bytes, context, licence, cached, repo }) => [
    name,
    kind,
    bytes === undefined ? '?' : formatBytes(bytes),
    String(context),
    licence,
    cached ? 'yes' : '',
    repo,
  ])
  const header = ['name', 'kind', 'size', 'context', 'licence', 'cached', 'repository']
  const lines = [
    ...formatTable(header, rows, [2, 3]),
    '',
    `Embedded: ${DEFAULT_MODEL}. Any other model by owner/name; sizes are about what is fetched.`,
  ]
  await writeLine(stdout, lines.join('\n'))
  return EXIT.ok
}
