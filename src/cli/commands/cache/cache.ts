/**
 * `bitnet cache`: what was fetched, taking it out again, and hashing it again. Packed images of weights
 * that loading made are listed and removed with it.
 */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { UsageError } from '../../../errors.ts'
import { formatModelName, parseModelName } from '../../../hub/model-name.ts'
import {
  type CachedModel,
  type CheckedBlob,
  listCache,
  removeCached,
  verifyCached,
} from '../../../node/hub/cache-inventory.ts'
import { readHubSettings } from '../../../node/hub/hub-settings.ts'
import { listImages, removeImages } from '../../../node/images/image-folder.ts'
import { formatBytes } from '../../console/quantities.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { formatTable } from '../../console/table.ts'
import { StatusLine, writeJson, writeLine } from '../../console/terminal.ts'

interface CacheFlags {
  readonly json?: boolean
  readonly yes?: boolean
  readonly all?: boolean
  readonly images?: boolean
}

type CacheRun = (
  action: 'list' | 'rm' | 'verify',
  names: string[],
  flags: CacheFlags,
) => Promise<void>

const JSON_HELP = 'print one JSON object, and nothing else, on standard output'

export function addCacheCommand(cache: Command, run: CacheRun): void {
  cache.addHelpText(
    'after',
    `
Examples:
  $ bitnet cache list
  $ bitnet cache rm bitnet-2b
  $ bitnet cache rm --images --yes      packed weights; loading makes them again
  $ bitnet cache verify`,
  )
  cache
    .command('list')
    .description('models, revisions and packed images in the cache')
    .option('--json', JSON_HELP)
    .action((flags: CacheFlags) => run('list', [], flags))
  cache
    .command('rm')
    .description('remove models from the cache')
    .argument('[models...]', 'names as "bitnet cache list" shows them, or aliases')
    .option('--all', 'all models')
    .option('--images', 'all packed images of weights')
    .option('-y, --yes', 'do not ask')
    .option('--json', JSON_HELP)
    .action((names: string[], flags: CacheFlags) => run('rm', names, flags))
  cache
    .command('verify')
    .description('hash what is in the cache again; exit code 1 if something is wrong')
    .argument('[models...]', 'names (default: all)')
    .option('--json', JSON_HELP)
    .action((names: string[], flags: CacheFlags) => run('verify', names, flags))
}

/** @returns the exit code */
export async function runCache(
  action: 'list' | 'rm' | 'verify',
  names: readonly string[],
  flags: CacheFlags,
  surroundings: Surroundings,
): Promise<number> {
  const { cacheFolder } = await readHubSettings(surroundings.env)
  const models = await listCache(cacheFolder)
  if (action === 'list') return list(cacheFolder, models, flags, surroundings)
  const isAll = action === 'verify' ? names.length === 0 : flags.all === true
  const chosen = isAll ? models : names.map((name) => findModel(models, name))
  return action === 'rm'
    ? remove(cacheFolder, chosen, flags, surroundings)
    : verify(chosen, flags, surroundings)
}

async function list(
  folder: string,
  models: readonly CachedModel[],
  flags: CacheFlags,
  { stdout }: Surroundings,
): Promise<number> {
  const images = await listImages()
  if (flags.json) {
    await writeJson(stdout, { folder, models, images })
    return EXIT.ok
  }
  const day = (date: Date): string => date.toISOString().slice(0, 10)
  const rows = models.flatMap((model) => {
    const size = formatBytes(model.bytes)
    const unfinished =
      model.unfinishedBytes > 0 ? `${formatBytes(model.unfinishedBytes)} unfinished` : ''
    const revisions = model.revisions.map(({ commit, refs, files }, i) => [
      i === 0 ? model.name : '',
      [commit.slice(0, 8), ...refs].join(' '),
      String(files.length),
      i === 0 ? size : '',
      i === 0 ? day(model.lastUsed) : '',
      i === 0 ? unfinished : '',
    ])
    return revisions.length > 0
      ? revisions
      : [[model.name, '', '', size, day(model.lastUsed), unfinished]]
  })
  const imageRows = images.map(({ source, settings, byteLength, lastUsed }) => [
    `image of ${source ?? 'a damaged file'}`,
    settings ?? '',
    '1',
    formatBytes(byteLength),
    day(lastUsed),
    '',
  ])
  const total = [...models.map(({ bytes }) => bytes), ...images.map(({ byteLength }) => byteLength)]
  const lines = [
    ...formatTable(
      ['model', 'revision', 'files', 'size', 'used', ''],
      [...rows, ...imageRows],
      [2, 3],
    ),
    '',
    `${formatBytes(total.reduce((sum, bytes) => sum + bytes, 0))} in all. Models: ${folder}`,
  ]
  await writeLine(stdout, lines.join('\n'))
  return EXIT.ok
}

async function remove(
  folder: string,
  models: readonly CachedModel[],
  flags: CacheFlags,
  surroundings: Surroundings,
): Promise<number> {
  const { stdout } = surroundings
  if (models.length === 0 && flags.images !== true && flags.all !== true) {
    throw new UsageError(
      'Expected the name of a model, --all or --images. See "bitnet cache list".',
    )
  }
  const images = flags.images === true ? await listImages() : []
  const bytes =
    models.reduce((sum, model) => sum + model.bytes, 0) +
    images.reduce((sum, image) => sum + image.byteLength, 0)
  const what = [
    ...models.map(({ name }) => name),
    ...(images.length > 0 ? [`${images.length} packed images`] : []),
  ]
  if (what.length > 0 && !(await isAllowed(what, bytes, flags, surroundings))) return EXIT.failure
  for (const model of models) await removeCached(folder, model)
  if (flags.images === true) await removeImages()
  const removed = { removed: what, bytes }
  if (flags.json) await writeJson(stdout, removed)
  else await writeLine(stdout, `Removed ${what.join(', ') || 'nothing'}: ${formatBytes(bytes)}.`)
  return EXIT.ok
}

async function isAllowed(
  what: readonly string[],
  bytes: number,
  { yes }: CacheFlags,
  { stdin, stderr }: Surroundings,
): Promise<boolean> {
  if (yes === true) return true
  if (stdin.isTTY !== true) {
    throw new UsageError('Expected --yes to remove models where nobody can be asked.')
  }
  const ask = createInterface({ input: stdin, output: stderr })
  try {
    const answer = await ask.question(`Remove ${what.join(', ')} (${formatBytes(bytes)})? [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    ask.close()
  }
}

async function verify(
  models: readonly CachedModel[],
  flags: CacheFlags,
  surroundings: Surroundings,
): Promise<number> {
  const { stdout, stderr } = surroundings
  const line = new StatusLine(stderr)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  const blobs: CheckedBlob[] = []
  try {
    let done = 0
    const onBytes = (count: number): void => {
      done += count
      line.show(`Hashing: ${formatBytes(done)}`)
    }
    for (const model of models) {
      for await (const blob of verifyCached(model, { onBytes, signal })) blobs.push(blob)
    }
  } finally {
    line.clear()
    release()
  }
  const wrong = blobs.filter(({ state }) => state === 'wrong')
  if (flags.json) await writeJson(stdout, { blobs })
  else {
    for (const { model, path } of wrong) {
      await writeLine(stdout, `${model}: ${path} has another content than its name says.`)
    }
    const right = blobs.filter(({ state }) => state === 'right').length
    const advice =
      wrong.length > 0 ? ' Remove the model with "bitnet cache rm" and fetch it again.' : ''
    await writeLine(stdout, `${right} of ${blobs.length} files are right.${advice}`)
  }
  return wrong.length > 0 ? EXIT.failure : EXIT.ok
}

/** By the name in the list, or by an alias or another spelling of it. */
function findModel(models: readonly CachedModel[], name: string): CachedModel {
  const parsed = parseModelName(name)
  const full = parsed === undefined ? name : formatModelName(parsed)
  const found = models.find((model) => model.name === name || model.name === full)
  if (found !== undefined) return found
  throw new UsageError(
    `Expected the name of a model in the cache, got "${name}". See "bitnet cache list".`,
  )
}
