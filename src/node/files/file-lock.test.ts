/**
 * Who may have a lock: the living keep theirs, the dead lose it.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { randomFrom } from '../../../test/support/random-texts.ts'
import { acquireLock } from './file-lock.ts'

/** What happens before a file is looked at, written, renamed or removed. */
let before:
  | ((call: 'readFile' | 'writeFile' | 'rename' | 'rm', path: string) => Promise<unknown>)
  | undefined
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const watched = (['readFile', 'writeFile', 'rename', 'rm'] as const).map((call) => {
    const run = real[call] as (path: string, ...rest: unknown[]) => Promise<unknown>
    const late = async (path: string, ...rest: unknown[]) => {
      await before?.(call, path)
      return run(path, ...rest)
    }
    return [call, late]
  })
  return { ...real, ...Object.fromEntries(watched) }
})

let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-lock-'))
  path = join(folder, 'a', 'model.lock')
})
afterEach(() => {
  before = undefined
  return rm(folder, { recursive: true, force: true })
})

const POLL = { pollMs: 1 }
/** Touched after now, so that a machine that is slow does not make it old. */
const TOUCHED = -3600

/** What a holder of this process writes. */
async function ownerOfNow(): Promise<{ pid: number; started: string; place: string; id: string }> {
  const release = await acquireLock(path, POLL)
  const owner = JSON.parse(await readFile(path, 'utf8'))
  await release()
  return owner
}

/** A lock that somebody left, last touched some seconds ago. */
async function leave(content: string, secondsAgo: number): Promise<void> {
  await writeFile(path, content)
  const then = Date.now() / 1000 - secondsAgo
  await utimes(path, then, then)
}

/** Whether the lock is taken over at once; else whoever wants it waits. */
async function isTakenOver(): Promise<boolean> {
  const controller = new AbortController()
  const onWait = () => controller.abort(new Error('it waits'))
  try {
    const release = await acquireLock(path, { ...POLL, onWait, signal: controller.signal })
    await release()
    expect(existsSync(path)).toBe(false)
    return true
  } catch (error) {
    if (controller.signal.aborted) return false
    throw error
  }
}

function endedProcess(): number {
  return spawnSync(process.execPath, ['-e', '']).pid
}

test('one at a time has it, the others wait and are told so once', async () => {
  const release = await acquireLock(path, POLL)
  let waits = 0
  const order: string[] = []
  const second = acquireLock(path, {
    ...POLL,
    onWait: () => {
      waits++
      order.push('waits')
      setImmediate(async () => {
        order.push('given back')
        await release()
      })
    },
  })
  const releaseSecond = await second
  order.push('has it')
  expect(order).toEqual(['waits', 'given back', 'has it'])
  expect(waits).toBe(1)
  await releaseSecond()
  expect(existsSync(path)).toBe(false)
})

test('many wanting it at once never have it together', async () => {
  let holders = 0
  const turns = Array.from({ length: 12 }, async () => {
    const release = await acquireLock(path, POLL)
    expect(++holders).toBe(1)
    await new Promise((resolve) => setImmediate(resolve))
    holders--
    await release()
  })
  await Promise.all(turns)
})

describe('a lock that was left', () => {
  test('by a process that has ended is taken over at once', async () => {
    const owner = await ownerOfNow()
    await leave(JSON.stringify({ ...owner, id: 'left', pid: endedProcess() }), 0)
    expect(await isTakenOver()).toBe(true)
  })

  test.skipIf(process.platform !== 'linux')(
    'by an earlier process with the number of a living one is taken over (needs /proc)',
    async () => {
      const owner = await ownerOfNow()
      await leave(JSON.stringify({ ...owner, id: 'left', started: '1' }), 0)
      expect(await isTakenOver()).toBe(true)
    },
  )

  test('by a process that lives is its own, however long it has been silent', async () => {
    const owner = await ownerOfNow()
    // Without a start time, which only Linux tells, silence has to do.
    const seconds = owner.started === '' ? TOUCHED : 7200
    await leave(JSON.stringify({ ...owner, id: 'other' }), seconds)
    expect(await isTakenOver()).toBe(false)
    expect(JSON.parse(await readFile(path, 'utf8')).id).toBe('other')
  })

  test('on another machine is taken over after a minute of silence', async () => {
    const owner = { ...(await ownerOfNow()), id: 'left', place: 'elsewhere' }
    await leave(JSON.stringify(owner), TOUCHED)
    expect(await isTakenOver()).toBe(false)
    await leave(JSON.stringify(owner), 120)
    expect(await isTakenOver()).toBe(true)
  })

  test.each(['', '{', '[]', '{"pid":"1"}', '{"id":"a","pid":-1,"started":"","place":""}'])(
    'with the content %j is taken over when nobody can be writing it any more',
    async (content) => {
      await ownerOfNow()
      await leave(content, TOUCHED)
      expect(await isTakenOver()).toBe(false)
      await leave(content, 60)
      expect(await isTakenOver()).toBe(true)
    },
  )
})

test('a full disk leaves no lock, and an error that names it', async () => {
  await ownerOfNow()
  before = async (call) => {
    if (call !== 'writeFile') return
    before = undefined
    await writeFile(path, '')
    // As the system's errors of open files are: without the file's name.
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
      ...{ code: 'ENOSPC', syscall: 'write' },
    })
  }
  await expect(acquireLock(path, POLL)).rejects.toMatchObject({ code: 'ENOSPC', path })
  expect(existsSync(path)).toBe(false)
})

test('a lock that changes hands while it is taken away stays', async () => {
  const owner = await ownerOfNow()
  await leave(JSON.stringify({ ...owner, id: 'left', pid: endedProcess() }), 0)
  // Somebody else sees the dead owner too, and is quicker.
  const theirs = JSON.stringify({ ...owner, id: 'quicker' })
  let looks = 0
  before = async (call, file) => {
    if (call !== 'readFile' || file !== path || ++looks !== 2) return
    before = undefined
    await leave(theirs, 0)
  }
  expect(await isTakenOver()).toBe(false)
  expect(looks).toBe(2)
  expect(await readFile(path, 'utf8')).toBe(theirs)
})

test('many who find a dead owner never have its lock together, in whatever order they come', async () => {
  const owner = await ownerOfNow()
  const dead = JSON.stringify({ ...owner, id: 'left', pid: endedProcess() })
  const random = randomFrom(5)
  // Each look and each change takes a while of its own, so that all come between all.
  before = async () => {
    for (let n = Math.floor(random() * 6); n > 0; n--) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  for (let round = 0; round < 60; round++) {
    await leave(dead, 0)
    let holders = 0
    let most = 0
    const turns = Array.from({ length: 4 }, async () => {
      const release = await acquireLock(path, POLL)
      most = Math.max(most, ++holders)
      for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
      holders--
      await release()
    })
    await Promise.all(turns)
    expect(most).toBe(1)
  }
})

test('who lost a lock to somebody else leaves it alone', async () => {
  const release = await acquireLock(path, POLL)
  const owner = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify({ ...owner, id: 'somebody' }))
  await release()
  expect(JSON.parse(await readFile(path, 'utf8')).id).toBe('somebody')
})
