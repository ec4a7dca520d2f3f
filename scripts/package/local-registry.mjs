/**
 * A registry of one's own for a check: verdaccio, which has the packages of release/ and fetches all
 * others from the registry that npm is set up with.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS = 120_000

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/**
 * @param node a Node that verdaccio runs on
 * @param script verdaccio's program
 * @param folder for its storage and its log
 * @param upstream the address of the registry for everything else
 * @returns { url, stop }
 */
export async function startRegistry({ node, script, folder, upstream }) {
  mkdirSync(folder, { recursive: true })
  const own = { access: '$all', publish: '$all', unpublish: '$all' }
  const config = {
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    uplinks: { upstream: { url: upstream, maxage: '60m', timeout: '60s' } },
    packages: {
      'bitnet-ts': own,
      '@bitnet-ts/*': own,
      '**': { access: '$all', proxy: 'upstream' },
    },
    log: { type: 'file', path: join(folder, 'verdaccio.log'), level: 'info' },
    max_body_size: '200mb',
  }
  const file = join(folder, 'config.yaml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  const url = `http://127.0.0.1:${await freePort()}/`
  const server = spawn(node, [script, '--config', file, '--listen', url], {
    stdio: 'ignore',
    cwd: folder,
  })
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill()
    await once(server, 'exit')
  }
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(200)) {
    if (server.exitCode !== null) break
    const answer = await fetch(`${url}-/ping`).catch(() => undefined)
    if (answer?.ok) return { url, stop }
  }
  await stop()
  throw new Error(`verdaccio did not start; its log is ${join(folder, 'verdaccio.log')}.`)
}
