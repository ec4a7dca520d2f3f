/** Debian's redis-server on a port of its own, for tests of what is kept there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, hasService, SERVICES } from './services.ts'

export const hasRedis: boolean = hasService('redis')

export interface RedisServer {
  readonly url: string
  /** Forgets all that it has. */
  clear(): Promise<void>
  kill(): Promise<void>
  /** Starts it again with what it had written down. */
  revive(): Promise<void>
  stop(): Promise<void>
}

export async function startRedis(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-redis-'))
  const port = await freePort()
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
  const begin = async (): Promise<ChildProcess> => {
    const child = spawn(SERVICES.redis, [...fixed, '--appendonly', 'yes', '--save', ''], {
      stdio: 'ignore',
    })
    // While it reads what it had written, it says LOADING.
    while ((await said(port, 'PING')) !== '+PONG') await sleep(20)
    return child
  }
  const end = async (child: ChildProcess): Promise<void> => {
    const over = once(child, 'exit')
    child.kill('SIGKILL')
    await over
  }
  let running = await begin()
  return {
    url: `redis://127.0.0.1:${port}`,
    async clear() {
      await said(port, 'FLUSHALL')
    },
    kill: () => end(running),
    async revive() {
      running = await begin()
    },
    async stop() {
      if (running.exitCode === null && running.signalCode === null) await end(running)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** What it says to a command; undefined where nobody is there. */
function said(port: number, command: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    socket.on('connect', () => socket.write(`${command}\r\n`))
    socket.on('data', (data) => {
      resolve(data.toString().trim())
      socket.destroy()
    })
    socket.on('error', () => resolve(undefined))
    socket.on('close', () => resolve(undefined))
  })
}
