/**
 * The kernels for Arm on processors that QEMU emulates: one with dot product instructions and one
 * without. Runs where qemu-aarch64-static (Debian: qemu-user-static) is installed; naming arm-neon or
 * arm-dotprod in REQUIRE_BACKENDS makes its absence a failure. Without it the C that all variants share
 * is checked by those that run here.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EMULATED, requiredBackends } from './support/backends.ts'
import { buildReplayProgram, casesUpTo, writeReplayFile } from './support/replay-file.ts'

const run = promisify(execFile)

/** Emulation is slow: larger products show nothing that the smaller ones do not. */
const MAX_WEIGHTS = 1 << 20

function findEmulator(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const names = ['qemu-aarch64-static', 'qemu-aarch64']
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync)
}

const emulator = findEmulator()
if (emulator === undefined && EMULATED.some((name) => requiredBackends().has(name))) {
  throw new Error('REQUIRE_BACKENDS names a kernel variant for Arm, but there is no qemu-aarch64.')
}

describe.skipIf(emulator === undefined)('kernels for Arm (needs qemu-aarch64-static)', () => {
  let program = ''
  let folder = ''
  let file = ''
  let counts: Record<string, number> = {}

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bitnet-replay-'))
    file = join(folder, 'cases')
    program = await buildReplayProgram('linux-arm64-musl')
    counts = await writeReplayFile(file, casesUpTo(MAX_WEIGHTS))
  }, 240_000)

  afterAll(() => rmSync(folder, { recursive: true }))

  test('every operation has cases in the replay', () => {
    expect(Object.entries(counts).filter(([, count]) => count === 0)).toEqual([])
  })

  test.each([
    ['max', 'runs'],
    ['cortex-a53', 'missing'],
  ])('on %s every variant gives the reference bytes, and arm-dotprod %s', async (cpu, dotprod) => {
    const { stdout } = await run(emulator ?? '', ['-cpu', cpu, program, file]).catch(
      (error) => error,
    )
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
    expect(stdout.trim().split('\n')).toEqual([
      `arm-dotprod: ${dotprod}`,
      'arm-neon: runs',
      'portable: runs',
      `cases: ${total}`,
    ])
  })
})
