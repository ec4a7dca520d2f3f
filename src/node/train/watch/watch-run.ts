/**
 * A page of a run's curves on this machine alone. All it shows comes from the run's log, so that it survives
 * reloads, and shows runs of other processes and of yesterday as well.
 */
import { open, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Hono } from 'hono'
import { UsageError } from '../../../errors.ts'
import { parseObject } from '../../../formats/json-text.ts'
import { checkHost } from '../../../server/guard.ts'
import { refusalOf, refuse } from '../../../server/refusal.ts'
import { EVENT_STREAM_HEADERS, serverSentEvent, streamBody } from '../../../server/stream.ts'
import { fileSize, statOf } from '../../files/system.ts'
import { type Listening, listen } from '../../server/listen.ts'
import { logFile } from '../run-folder.ts'

/** Bytes of the log that are sent at a time. */
const PIECE = 1 << 18
const POLL_MS = 250
/** Lines that say nothing, so that a reader who has gone is noticed. */
const SILENCE_MS = 15_000
/** A page that takes nothing for so long is given up; it comes back by itself. */
const STALL_MS = 60_000

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
    "connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
}

export interface WatchOptions {
  /** 0 takes a free one. */
  readonly port: number
}

/**
 * Serves the page of a run on 127.0.0.1. The folder may be one whose run has not begun.
 *
 * @throws UsageError where it cannot listen, or if the folder is none
 */
export async function watchRun(folder: string, { port }: WatchOptions): Promise<Listening> {
  const found = await statOf(folder)
  if (found !== undefined && !found.isDirectory()) {
    throw new UsageError(
      `Expected the folder of a run (bitnet train --out), got the file ${folder}.`,
    )
  }
  const ended = new AbortController()
  const app = new Hono()
  app.use(async (c, next) => {
    checkHost(c.req.header('host'))
    await next()
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value)
  })
  app.onError((error) => refuse(refusalOf(error)))
  app.get('/', async (c) => c.html(await readFile(new URL('page.html', import.meta.url), 'utf8')))
  const require = createRequire(import.meta.url)
  const serve = (path: string, file: string, type: string) =>
    app.get(path, async () => {
      return new Response(await readFile(file), { headers: { 'content-type': type } })
    })
  const script = require.resolve('uplot/dist/uPlot.iife.min.js')
  serve('/uplot.js', script, 'text/javascript; charset=utf-8')
  serve('/uplot.css', require.resolve('uplot/dist/uPlot.min.css'), 'text/css; charset=utf-8')
  app.get('/events', async (c) => {
    const from = Number(c.req.header('last-event-id') ?? 0)
    const gone = new AbortController()
    const pieces = eventsOf(folder, from, AbortSignal.any([ended.signal, gone.signal]))
    const body = streamBody(await pieces.next(), pieces, {
      cancel: () => gone.abort(),
      done: () => gone.abort(),
      stallMs: STALL_MS,
    })
    return new Response(body, { headers: EVENT_STREAM_HEADERS })
  })
  return listen(
    {
      fetch: async (request) => app.fetch(request),
      busy: 0,
      drain: () => ended.abort(),
      close: async () => undefined,
    },
    { host: '127.0.0.1', port },
  )
}

/** The log as server-sent events, each with the place in the log behind it as its id, and what comes to it. */
async function* eventsOf(
  folder: string,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const path = logFile(folder)
  const begin = serverSentEvent({ folder: basename(resolve(folder)) }, 'run')
  let at = Number.isSafeInteger(from) && from > 0 ? from : 0
  if (at === 0) yield begin
  let silentSince = performance.now()
  while (!signal.aborted) {
    const size = (await fileSize(path)) ?? 0
    if (size < at) {
      // Another run, in the same place.
      at = 0
      yield begin
    }
    const { events, next } = size > at ? await linesFrom(path, at) : { events: [], next: at }
    if (next > at) {
      at = next
      silentSince = performance.now()
      yield `id: ${at}\n${serverSentEvent(events)}`
      continue
    }
    if (performance.now() - silentSince > SILENCE_MS) {
      silentSince = performance.now()
      yield ': still here\n\n'
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** Whole lines from a place on; what was cut when a process ended is no event. */
async function linesFrom(path: string, at: number): Promise<{ events: unknown[]; next: number }> {
  const handle = await open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PIECE), 0, PIECE, at)
    const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1
    const lines = buffer.toString('utf8', 0, end).split('\n')
    const events = lines.map((line) => parseObject(line)).filter((own) => own !== undefined)
    // A line longer than a piece is none of ours.
    return { events, next: at + (end === 0 && bytesRead === PIECE ? PIECE : end) }
  } finally {
    await handle.close()
  }
}
