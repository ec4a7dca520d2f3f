/** What a run of training comes through: `kill -9` at any moment, and a disk that is full. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { train } from '../src/node/train/train.ts'
import { buildProgram, ROOT } from './support/built-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-survives-'))
const text = join(folder, 'text.txt')
const MAIN = join(ROOT, 'dist/cli/main.js')
const run = promisify(execFile)

beforeAll(async () => {
  const lines = Array.from({ length: 400 }, (_, i) => `The cat is in house ${i % 7}.\n`)
  writeFileSync(text, lines.join(''))
  await buildProgram()
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a run that is killed again and again comes to the bits of one that is not', async () => {
  // `node scripts/kill-training.mjs` does it fifty times.
  const { stdout } = await run(process.execPath, [join(ROOT, 'scripts/kill-training.mjs'), '3'])
  expect(stdout).toBe('3 kills: the bits of an unbroken run\n')
}, 240_000)

/** A small disk of its own, where the system lets a user have one. */
function canMount(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!canMount())(
  'a full disk ends a run with its last good checkpoint',
  async () => {
    const [disk, kept] = ['disk', 'kept'].map((name) => join(folder, name))
    for (const path of [disk, kept]) mkdirSync(path)
    const flags = `--data ${text} --batch 2 --length 32 --threads 1 --steps 12 --save-every 3 --sample-every 0`
    // A checkpoint is 4.3 MB: two lie there, and a third has no room.
    const script = `mount -t tmpfs -o size=11m none ${disk}
    ${process.execPath} ${MAIN} train ${flags} --out ${disk}/run; code=$?; cp -r ${disk}/run ${kept}; exit $code`
    const ended = await run('unshare', ['-rm', 'sh', '-c', script]).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    )
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/bitnet: .*(no space|disk|room)/i)
    const names = readdirSync(join(kept, 'run')).filter((name) => name.startsWith('step-'))
    expect(names).toEqual(['step-000003', 'step-000006'])
    // With room it goes on, to the bits of a run that had it.
    const options = { data: [text], batch: 2, length: 32, threads: 1, steps: 12, saveEvery: 3 }
    const rest = await train({ ...options, sampleEvery: 0, out: join(kept, 'run'), resume: true })
    const whole = await train({ ...options, sampleEvery: 0, out: join(folder, 'whole') })
    expect(rest.heldOutLoss).toBe(whole.heldOutLoss)
  },
  120_000,
)
