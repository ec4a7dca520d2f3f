/**
 * One process at a time for one file, also across programs that die: a lock file names its owner,
 * and whose owner is gone is taken over. On the same machine (and in the same process namespace) that
 * is known by the process's id and start time; from elsewhere, e.g. on a network disk, by a heartbeat
 * that stopped.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isWhole } from '../../checks.ts'
import { parseObject } from '../../formats/json-text.ts'
import type { LockWaiting } from '../../hub/download/store.ts'
import { errorCode, makeFolder, namingFile } from './system.ts'

interface LockOptions extends LockWaiting {
  /** How often a held lock is looked at; unset: 250 ms. */
  readonly pollMs?: number | undefined
}

interface Owner {
  readonly id: string
  readonly pid: number
  /** When the process started, in a form of this system's own; empty where it cannot be known. */
  readonly started: string
  /** Machine and process namespace in which `pid` means something. */
  readonly place: string
}

const HEARTBEAT_MS = 5_000
/** Several missed heartbeats of an owner that cannot be looked up. */
const SILENT_MS = 60_000
/** Between creating a lock and writing its owner lie microseconds. */
const NAMELESS_MS = 10_000
/** An owner's line has about 150 bytes. */
const MAX_LOCK_CHARS = 2_000

/** Waits until the lock is this process's, and returns the function that gives it back. */
export async function acquireLock(
  path: string,
  options: LockOptions = {},
): Promise<() => Promise<void>> {
  const { signal, onWait, pollMs = 250 } = options
  await makeFolder(dirname(path))
  const owner: Owner = {
    id: randomUUID(),
    pid: process.pid,
    started: startOf(process.pid),
    place: currentPlace(),
  }
  for (let waited = false; ; ) {
    signal?.throwIfAborted()
    if (await create(path, owner)) return hold(path, owner)
    const held = await readLock(path)
    if (held !== undefined && isStale(held)) {
      await takeAway(path, held, options)
      continue
    }
    if (!waited) onWait?.()
    waited = true
    await sleep(pollMs, undefined, signal ? { signal } : {})
  }
}

async function create(path: string, owner: Owner): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(owner), { flag: 'wx' })
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    // What was opened and not written is ours, and would keep others waiting.
    if ((error as NodeJS.ErrnoException).syscall === 'write') await rm(path, { force: true })
    throw namingFile(path, error)
  }
}

function hold(path: string, owner: Owner): () => Promise<void> {
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, HEARTBEAT_MS)
  beat.unref()
  return async () => {
    clearInterval(beat)
    const held = await readLock(path)
    // If somebody took it for stale, it is theirs now.
    if (held?.owner?.id === owner.id) await rm(path, { force: true })
  }
}

interface HeldLock {
  /** Undefined while, or because, nothing sensible was written. */
  readonly owner: Owner | undefined
  readonly text: string
  readonly silentMs: number
}

async function readLock(path: string): Promise<HeldLock | undefined> {
  try {
    const { mtimeMs } = await stat(path)
    const text = (await readFile(path, 'utf8')).slice(0, MAX_LOCK_CHARS)
    return { owner: parseOwner(text), text, silentMs: Date.now() - mtimeMs }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function parseOwner(text: string): Owner | undefined {
  const { id, pid, started, place } = parseObject(text) ?? {}
  if (typeof id !== 'string' || !isWhole(pid, 1)) return undefined
  if (typeof started !== 'string' || typeof place !== 'string') return undefined
  return { id, pid, started, place }
}

function isStale({ owner, silentMs }: HeldLock): boolean {
  if (owner === undefined) return silentMs > NAMELESS_MS
  if (owner.place !== currentPlace()) return silentMs > SILENT_MS
  if (!isAlive(owner.pid)) return true
  const started = startOf(owner.pid)
  // A process may be stopped for long and go on; it is the owner as long as it is the same process.
  if (started !== '' && owner.started !== '') return started !== owner.started
  return silentMs > SILENT_MS
}

/**
 * Removes a lock that was found stale. Between the look and now somebody else may have done the same and made
 * a lock of their own, which must not go: so whoever removes one has a lock for that, and looks again. Moving it
 * aside and putting back a living one would leave a moment without any, in which a third one comes in.
 */
async function takeAway(path: string, held: HeldLock, options: LockOptions): Promise<void> {
  const release = await acquireLock(`${path}.stale`, { ...options, onWait: undefined })
  try {
    const now = await readLock(path)
    if (now?.text === held.text && isStale(now)) await rm(path, { force: true })
  } finally {
    await release()
  }
}

/** Whether there is a process of this number. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return errorCode(error) === 'EPERM'
  }
}

/** Field 22 of /proc/pid/stat, in clock ticks since boot; its second field may hold any character. */
function startOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

function currentPlace(): string {
  let namespace = ''
  try {
    namespace = readlinkSync('/proc/self/ns/pid')
  } catch {
    // Only Linux has them.
  }
  return `${hostname()} ${namespace}`
}
