/**
 * The server on a port: connections with limits of time, and an end that lets requests finish.
 */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { BitnetServer } from '../../server/app.ts'

export interface ListenOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly patience?: Partial<Patience>
}

/** Milliseconds that a client has. */
interface Patience {
  /** To send its headers. */
  readonly headers: number
  /** To send its whole request. */
  readonly request: number
  /** In which it takes nothing of an answer that lies there. */
  readonly reading: number
}

export interface Listening {
  /** Where it can be reached, e.g. "http://127.0.0.1:8080". */
  readonly url: string
  /**
   * Takes no more requests, waits for those that run, and frees everything.
   *
   * @param patienceMs after which those that still run are cut off
   */
  stop(patienceMs: number): Promise<void>
}

const PATIENCE: Patience = { headers: 10_000, request: 60_000, reading: 30_000 }
const IDLE_MS = 5_000
const STREAM = /event-stream|ndjson/
const MOST_CONNECTIONS = 2048
/** How often it is looked whether the last request has ended. */
const POLL_MS = 50

/** What of a server it takes to listen for it. */
export type Served = Pick<BitnetServer, 'fetch' | 'busy' | 'drain' | 'close'>

/** @throws UsageError if it cannot listen there */
export async function listen(app: Served, options: ListenOptions): Promise<Listening> {
  const { host, port } = options
  const { headers, request, reading } = { ...PATIENCE, ...options.patience }
  const serverOptions = {
    headersTimeout: headers,
    requestTimeout: request,
    // Unset, Node looks every 30 s.
    connectionsCheckingInterval: headers / 5,
    keepAliveTimeout: IDLE_MS,
  }
  const server = createAdaptorServer({
    serverOptions,
    async fetch(request, { outgoing }) {
      const answer = await app.fetch(request, { end: () => outgoing.destroy() })
      // A stream looks at its reader itself; here each of its pieces would move a timer.
      if (!STREAM.test(answer.headers.get('content-type') ?? '')) {
        outgoing.setTimeout(reading, () => {
          // Nothing moves either while nothing lies there.
          const { socket } = outgoing
          if (socket !== null && socket.writableLength > 0) socket.destroy()
        })
      }
      return answer
    },
  }) as Server
  server.maxConnections = MOST_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const where = `${host} port ${port}`
      reject(
        new UsageError(
          `Expected to listen on ${where}: ${messageOf(error)}. Try --port or --host.`,
        ),
      )
    })
    server.listen(port, host, resolve)
  })
  const { address, family, port: own } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${own}`,
    async stop(patienceMs) {
      app.drain()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const until = performance.now() + patienceMs
      while (app.busy > 0 && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
      // Connections that wait for a next request, and those whose time is up.
      server.closeAllConnections()
      await closed
      await app.close()
    },
  }
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
