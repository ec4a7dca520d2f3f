/**
 * Ten thousand lines over four workers of the embedded model, of which one is killed every few seconds, and a Redis
 * that is killed once; the test of that name with other numbers. It needs redis-server.
 *
 *   node scripts/batch-workers.mjs [LINES]      unset: 10000
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [lines = '10000'] = process.argv.slice(2)
const { status } = spawnSync('npx', ['vitest', 'run', 'test/batch-workers.test.ts'], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  env: { ...process.env, BATCH_LINES: lines, BATCH_KILL_SECONDS: '5' },
  shell: process.platform === 'win32',
  stdio: 'inherit',
})
process.exitCode = status ?? 1
