/**
 * Runs many random schedules of everything that a model does, and says which went wrong:
 *
 *   node scripts/schedules.mjs [COUNT] [SEED]      unset: 10000 from seed 1
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [count = '10000', seed = '1'] = process.argv.slice(2)
const root = fileURLToPath(new URL('..', import.meta.url))
const test = 'src/generate/schedule/random-schedules.test.ts'
const { status } = spawnSync('npx', ['vitest', 'run', test], {
  cwd: root,
  env: { ...process.env, SCHEDULES: count, SCHEDULE_SEED: seed },
  shell: process.platform === 'win32',
  stdio: 'inherit',
})
process.exitCode = status ?? 1
