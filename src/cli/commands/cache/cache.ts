/**
 * `bitnet cache`: what was fetched, taking it out again, and hashing it again. Packed images of weights
 * that loading made are listed and removed with it.
 */
import { createInterface } from 'node:readline/promises'
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
import type { CommandContext } from '../../command-context.ts'
import { counted, formatBytes } from '../../console/quantities.ts'
import { EXIT } from '../../console/surroundings.ts'
import type { ReportPart } from '../../console/table.ts'
import { defineCommand, defineGroup, type JsonFlag } from '../../define-command.ts'

interface RemoveFlags extends JsonFlag {
  readonly yes?: boolean
  readonly all?: boolean
  readonly images?: boolean
}

const list = defineCommand<JsonFlag>({
  async run(context) {
    const { folder, models } = await readCache(context)
    const images = await listImages()
    await context.print({ folder, models, images }, () => describeCache(folder, models, images))
  },
})

const remove = defineCommand<RemoveFlags, [names: readonly string[]]>({
  flags: (command) =>
    command
      .argument('[models...]', 'names as "bitnet cache list" shows them, or aliases')
      .option('--all', 'all models')
      .option('--images', 'all packed images of weights')
      .option('-y, --yes', 'do not ask'),
  async run(context, flags, names) {
    const { folder, models: all } = await readCache(context)
    const models = flags.all === true ? all : names.map((name) => findModel(all, name))
    if (models.length === 0 && flags.images !== true && flags.all !== true) {
      throw new UsageError(
        'Expected the name of a model, --all or --images. See "bitnet cache list".',
      )
    }
    const images = flags.images === true ? await listImages() : []
    const bytes = bytesOf(models, images)
    const removed = [
      ...models.map(({ name }) => name),
      ...(images.length > 0 ? [counted(images.length, 'packed image')] : []),
    ]
    const what = `${removed.join(', ')} (${formatBytes(bytes)})`
    if (removed.length > 0 && flags.yes !== true && !(await isAllowed(what, context))) {
      context.exitCode = EXIT.failure
      return
    }
    for (const model of models) await removeCached(folder, model)
    if (flags.images === true) await removeImages()
    await context.print({ removed, bytes }, () => [
      `Removed ${removed.join(', ') || 'nothing'}: ${formatBytes(bytes)}.`,
    ])
  },
})

const verify = defineCommand<JsonFlag, [names: readonly string[]]>({
  flags: (command) => command.argument('[models...]', 'names (default: all)'),
  async run(context, _, names) {
    const { models: all } = await readCache(context)
    const models = names.length === 0 ? all : names.map((name) => findModel(all, name))
    const { signal, status } = context
    let done = 0
    const onBytes = (count: number): void => {
      done += count
      status.show(`Hashing: ${formatBytes(done)}`)
    }
    const blobs: CheckedBlob[] = []
    for (const model of models) {
      for await (const blob of verifyCached(model, { onBytes, signal })) blobs.push(blob)
    }
    const wrong = blobs.filter(({ state }) => state === 'wrong')
    if (wrong.length > 0) context.exitCode = EXIT.failure
    await context.print({ blobs }, () => {
      const right = blobs.filter(({ state }) => state === 'right').length
      const advice =
        wrong.length > 0 ? ' Remove the model with "bitnet cache rm" and fetch it again.' : ''
      return [
        ...wrong.map(
          ({ model, path }) => `${model}: ${path} has another content than its name says.`,
        ),
        `${right} of ${counted(blobs.length, 'file')} are right.${advice}`,
      ]
    })
  },
})

export const command = defineGroup(
  `\
  $ bitnet cache list
  $ bitnet cache rm bitnet-2b
  $ bitnet cache rm --images --yes      packed weights; loading makes them again
  $ bitnet cache verify`,
  [
    ['list', 'models, revisions and packed images in the cache', list],
    ['rm', 'remove models from the cache', remove],
    ['verify', 'hash what is in the cache again; exit code 1 if something is wrong', verify],
  ],
)

interface CacheContents {
  readonly folder: string
  readonly models: readonly CachedModel[]
}

async function readCache({ env }: CommandContext): Promise<CacheContents> {
  const { cacheFolder: folder } = await readHubSettings(env)
  return { folder, models: await listCache(folder) }
}

type Image = Awaited<ReturnType<typeof listImages>>[number]

function bytesOf(models: readonly CachedModel[], images: readonly Image[]): number {
  const sizes = [...models.map(({ bytes }) => bytes), ...images.map((image) => image.byteLength)]
  return sizes.reduce((sum, bytes) => sum + bytes, 0)
}

function describeCache(
  folder: string,
  models: readonly CachedModel[],
  images: readonly Image[],
): ReportPart[] {
  const day = (date: Date): string => date.toISOString().slice(0, 10)
  const rows = models.flatMap((model) => {
    const unfinished =
      model.unfinishedBytes > 0 ? `${formatBytes(model.unfinishedBytes)} unfinished` : ''
    const [first = ['', ''], ...others] = model.revisions.map(({ commit, refs, files }) => [
      [commit.slice(0, 8), ...refs].join(' '),
      String(files.length),
    ])
    return [
      [model.name, ...first, formatBytes(model.bytes), day(model.lastUsed), unfinished],
      ...others.map((revision) => ['', ...revision, '', '', '']),
    ]
  })
  const imageRows = images.map(({ source, settings, byteLength, lastUsed }) => [
    `image of ${source ?? 'a damaged file'}`,
    settings ?? '',
    '1',
    formatBytes(byteLength),
    day(lastUsed),
    '',
  ])
  return [
    {
      header: ['model', 'revision', 'files', 'size', 'used', ''],
      rows: [...rows, ...imageRows],
      right: [2, 3],
    },
    '',
    `${formatBytes(bytesOf(models, images))} in all. Models: ${folder}`,
  ]
}

/** Asks the person at the terminal. */
async function isAllowed(what: string, { stdin, stderr }: CommandContext): Promise<boolean> {
  if (stdin.isTTY !== true) {
    throw new UsageError('Expected --yes to remove models where nobody can be asked.')
  }
  const ask = createInterface({ input: stdin, output: stderr })
  try {
    const answer = await ask.question(`Remove ${what}? [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    ask.close()
  }
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
