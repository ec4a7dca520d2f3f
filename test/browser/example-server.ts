/** The example page as a reader starts it, by one command. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { ROOT } from '../support/built-program.ts'

export interface ExampleServer {
  readonly url: string
  close(): void
}

export async function serveExample(): Promise<ExampleServer> {
  const server = spawn(process.execPath, [join(ROOT, 'examples/browser/serve.mjs'), '0'])
  const [line] = await once(server.stdout, 'data')
  const [url] = /^http:\S+/.exec(`${line}`) ?? ['']
  return { url, close: () => void server.kill() }
}

/** Waits until the page's status line matches. */
export async function untilStatus(page: Page, pattern: RegExp): Promise<void> {
  const isThere = `${pattern}.test(document.getElementById('status').textContent)`
  await page.waitForFunction(isThere, undefined, { timeout: 120_000 })
}
