/**
 * `bitnet serve`: models for whoever speaks OpenAI's or Ollama's dialect.
 */

import { readFile } from 'node:fs/promises'
import { messageOf, withoutUnset } from '../../../checks.ts'
import { UsageError } from '../../../errors.ts'
import { openBatchStore, openDefaultStore } from '../../../node/batch/open-store.ts'
import { readKeys } from '../../../node/server/key-file.ts'
import { isLoopback, listen, type Served } from '../../../node/server/listen.ts'
import { openTelemetry } from '../../../node/server/open-telemetry.ts'
import { type BitnetServer, createBitnetServer } from '../../../server/app.ts'
import type { BatchStore } from '../../../server/batch/store.ts'
import { type ApiKey, DEFAULT_LIMITS, type ServerLimits } from '../../../server/options.ts'
import type { CommandContext } from '../../command-context.ts'
import { readTextFile } from '../../console/input.ts'
import { defineCommand } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'
import { packageVersion } from '../../version.ts'
import {
  addServedFlags,
  logTo,
  MOST_LINES,
  type ServedFlags,
  servedModels,
  untilInterrupted,
} from './serving.ts'

export interface ServeFlags extends ServedFlags {
  readonly host?: string
  readonly port?: number
  readonly keys?: string
  readonly public?: boolean
  readonly allowHost?: readonly string[]
  readonly cors?: readonly string[]
  readonly maxTokens?: number
  readonly timeout?: number
  readonly active?: number
  readonly waiting?: number
  readonly keyActive?: number
  readonly keyPerMinute?: number
  readonly loadedModels?: number
  readonly metricsPort?: number
  readonly queue?: string
  readonly batchLines?: number
  readonly json?: boolean
}

const HOST = '127.0.0.1'
const PORT = 8080
/** What still runs at the end has so long to finish. */
const PATIENCE_MS = 30_000
/** What --queue says for no batches. */
const NO_QUEUE = 'none'

export const command = defineCommand<ServeFlags>({
  flags(command) {
    const atLeastOne = wholeNumber({ min: 1 })
    addServedFlags(command)
      .option('--host <address>', `where to listen (default: ${HOST}, this machine alone)`)
      .option(
        '--port <port>',
        `0 takes a free one (default: ${PORT})`,
        wholeNumber({ min: 0, max: 65535 }),
      )
      .option(
        '--keys <file>',
        'API keys, "name KEY [priority=1]" a line; also BITNET_API_KEYS, with commas',
      )
      .option('--public', 'listen beyond this machine without any key')
      .option('--allow-host <name...>', 'names to be called by, beside localhost; "*" is any')
      .option('--cors <origin...>', 'pages of these origins may ask; "*" is any')
      .option('--max-tokens <count>', 'most tokens of an answer', atLeastOne)
      .option(
        '--timeout <seconds>',
        `most seconds of an answer (default: ${DEFAULT_LIMITS.seconds})`,
        atLeastOne,
      )
      .option(
        '--active <count>',
        `requests at a time (default: ${DEFAULT_LIMITS.active})`,
        atLeastOne,
      )
      .option(
        '--waiting <count>',
        `requests that wait (default: ${DEFAULT_LIMITS.waiting})`,
        atLeastOne,
      )
      .option('--key-active <count>', 'requests at a time of one key (default: all)', atLeastOne)
      .option('--key-per-minute <count>', 'requests a minute of one key (default: any)', atLeastOne)
      .option('--loaded-models <count>', 'models in memory at a time (default: 1)', atLeastOne)
      .option(
        '--metrics-port <port>',
        'figures for Prometheus there, too, without a key (default: none)',
        wholeNumber({ min: 1, max: 65535 }),
      )
      .option(
        '--queue <where>',
        'keeps files and batches (/v1/batches) in a file, or at redis://HOST:PORT, or none (default: a file for ' +
          'the port, where better-sqlite3 is installed)',
      )
      .option(
        '--batch-lines <count>',
        'lines of batches at a time; 0 leaves them to bitnet worker (default: 8)',
        wholeNumber({ min: 0, max: MOST_LINES }),
      )
  },
  examples: `\
  $ bitnet serve                               the embedded model, on http://127.0.0.1:8080
  $ bitnet serve -m bitnet-2b --keys keys.txt --host 0.0.0.0
  $ curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
      -d '{"messages":[{"role":"user","content":"Hello"}]}'

Ctrl-C or SIGTERM: no new requests, those that run are finished; a second one stops at once.`,
  async run(context, flags) {
    const { keys: path } = flags
    const file = path === undefined ? undefined : { path, text: await readTextFile(path) }
    const keys = readKeys(file, context.env)
    const host = flags.host ?? HOST
    checkExposure(host, keys, flags)
    // The first one is loaded before anybody is told where to ask.
    const { first, served } = await servedModels(context, flags)
    const batches = await openBatches(context, flags)
    const tracer = await openTelemetry(context.env, packageVersion())
    const app = createBitnetServer({
      models: served,
      keys,
      limits: limitsOf(flags),
      origins: flags.cors ?? [],
      ...(flags.allowHost
        ? { hosts: ['localhost', '127.0.0.1', '[::1]', ...flags.allowHost] }
        : {}),
      version: packageVersion(),
      ...(batches ? { batches } : {}),
      ...(tracer ? { tracer } : {}),
      ...(flags.batchLines === undefined ? {} : { batchLines: flags.batchLines }),
      page: await readFile(new URL('../../../server/page.html', import.meta.url), 'utf8'),
      log: logTo(context, flags.log),
      logsContent: flags.log === 'prompts',
    })
    const { url, stop } = await listen(app, { host, port: flags.port ?? PORT })
    const { metricsPort } = flags
    const figures = metricsPort && (await listen(figuresOf(app), { host, port: metricsPort }))
    await context.print({ url, models: served.map(({ id }) => id) }, () => [
      [
        ['serving', `${served.map(({ id }) => id).join(', ')} on ${first.backend.description}`],
        ['page', url],
        ['OpenAI', `${url}/v1`],
        ['Ollama', url],
      ],
    ])
    await untilInterrupted(context, async () => {
      await stop(PATIENCE_MS)
      if (figures) await figures.stop(0)
      await batches?.close()
      await tracer?.close()
    })
  },
})

async function openBatches(
  context: CommandContext,
  { queue, port = PORT }: ServeFlags,
): Promise<BatchStore | undefined> {
  if (queue !== undefined) return queue === NO_QUEUE ? undefined : openBatchStore(queue)
  // Whoever takes any free port does not find it again.
  if (port === 0) return undefined
  try {
    return await openDefaultStore(port)
  } catch (error) {
    await context.remark(
      `There will be no batches (--queue ${NO_QUEUE} says so): ${messageOf(error)}`,
    )
    return undefined
  }
}

/** Figures alone. */
function figuresOf(app: BitnetServer): Served {
  const fetch = async (request: Request): Promise<Response> =>
    new URL(request.url).pathname === '/metrics'
      ? app.figures()
      : new Response('Expected /metrics.', { status: 404 })
  return { fetch, busy: 0, drain: () => undefined, close: async () => undefined }
}

/** @throws UsageError where strangers could use the server */
function checkExposure(host: string, keys: readonly ApiKey[], flags: ServeFlags): void {
  if (isLoopback(host) || keys.length > 0 || flags.public === true) return
  throw new UsageError(
    `Expected keys for ${host}, which others can reach: give --keys FILE or BITNET_API_KEYS, or --public to ` +
      'serve everybody.',
  )
}

function limitsOf(flags: ServeFlags): ServerLimits {
  const { maxTokens, timeout, active, waiting, keyActive, keyPerMinute, loadedModels } = flags
  const seconds = timeout
  return withoutUnset({
    maxTokens,
    seconds,
    active,
    waiting,
    keyActive,
    keyPerMinute,
    loadedModels,
  })
}
