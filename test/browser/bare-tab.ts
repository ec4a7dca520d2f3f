/**
 * A page in a Chromium that nobody watches: developer tools, and so Playwright, keep a copy of all that a page
 * fetches, in the tab's own memory. The page itself says where it is, by posts to the server, and Linux counts what
 * its process takes: `measureUserAgentSpecificMemory` leaves out WebAssembly memory that is not shared.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FLAGS } from './chromium.ts'
import { type ServeOptions, serve } from './static-server.ts'

export interface BareVisit {
  /** What the page posted to /end. */
  readonly said: string
  /** Bytes that no file backs and that the tab had more at the end than when it posted to /begin. */
  readonly grown: number
  /** The most that it had more at any moment between the two, pages of files included. */
  readonly peak: number
}

export interface BareOptions extends Omit<ServeOptions, 'posted'> {
  /** Of the address, behind the server's. */
  readonly path?: string
  /** Beside those of all browsers. */
  readonly flags?: readonly string[]
}

/** Opens a page, which posts to /begin and /end, and to /front with the address of a tab that is to hide it. */
export async function visitBare(
  executable: string,
  { path = '', flags = [], ...options }: BareOptions,
): Promise<BareVisit> {
  const profile = await mkdtemp(join(tmpdir(), 'bitnet-tab-'))
  let before: readonly Usage[] = []
  let posted: (place: string, said: string) => Promise<void> | undefined
  const server = await serve({ ...options, posted: (place, said) => posted(place, said) })
  // Nobody attaches to what listens there; it opens tabs.
  const own = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`]
  const args = [...FLAGS, ...flags, ...own]
  const chromium = spawn(executable, [...args, `${server.url}${path}`], { stdio: 'ignore' })
  const exit = new Promise<void>((resolve) => chromium.once('exit', () => resolve()))
  try {
    return await new Promise<BareVisit>((resolve, reject) => {
      exit.then(() => reject(new Error('Chromium ended before its page did.')))
      const hear = async (place: string, said: string): Promise<void> => {
        if (place === '/begin') before = tabsOf(profile).map(beginUsage)
        else if (place === '/front') await openTab(profile, said)
        else resolve({ said, ...grownMost(before) })
      }
      posted = (place, said) => hear(place, said).catch(reject)
    })
  } finally {
    chromium.kill()
    await exit
    await server.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** In front of what is open. */
async function openTab(profile: string, address: string): Promise<void> {
  const [port] = readFileSync(join(profile, 'DevToolsActivePort'), 'utf8').split('\n')
  const url = `http://127.0.0.1:${port}/json/new?${address}`
  const { status } = await fetch(url, { method: 'PUT' })
  if (status !== 200) throw new Error(`Chromium answered ${status} to a new tab.`)
}

interface Usage {
  readonly id: string
  readonly own: number
  readonly resident: number
}

/** The processes of tabs, a spare one among them; none where the system does not tell. */
function tabsOf(profile: string): string[] {
  if (!existsSync('/proc/self/smaps_rollup')) return []
  return readdirSync('/proc').filter((id) => {
    if (!/^\d+$/.test(id)) return false
    const line = existsSync(`/proc/${id}/cmdline`)
      ? readFileSync(`/proc/${id}/cmdline`, 'utf8')
      : ''
    return line.includes('--type=renderer') && line.includes(profile)
  })
}

function beginUsage(id: string): Usage {
  // The most that a process ever had counts from here.
  writeFileSync(`/proc/${id}/clear_refs`, '5')
  return { id, own: ownBytes(id), resident: bytesIn(`/proc/${id}/status`, 'VmRSS') }
}

/** Of the tab that has more now than any other. */
function grownMost(before: readonly Usage[]): Pick<BareVisit, 'grown' | 'peak'> {
  const still = before.filter(({ id }) => existsSync(`/proc/${id}/smaps_rollup`))
  const after = still.map(({ id, own, resident }) => ({
    grown: ownBytes(id) - own,
    peak: bytesIn(`/proc/${id}/status`, 'VmHWM') - resident,
  }))
  const none = { grown: 0, peak: 0 }
  return after.reduce((most, one) => (one.grown > most.grown ? one : most), none)
}

function ownBytes(id: string): number {
  const path = `/proc/${id}/smaps_rollup`
  return bytesIn(path, 'Pss_Anon') + bytesIn(path, 'Pss_Shmem')
}

function bytesIn(path: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(path, 'utf8'))
  if (found === null) throw new Error(`${path} has no ${name}.`)
  return 1024 * Number(found[1])
}
