/**
 * Kills a training run at random moments, again and again, lets it go on each time, and compares what comes out
 * with a run that nobody killed:
 *
 *   npm run build && node scripts/kill-training.mjs [times, default 50]
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const times = Number(process.argv[2] ?? 50)
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'bitnet-kill-'))
const text = join(folder, 'text.txt')
const line = (i) => `The ${['cat', 'dog', 'owl'][i % 3]} is ${i % 11} years old.`
writeFileSync(text, Array.from({ length: 3000 }, (_, i) => line(i)).join('\n'))

/** More than it gets to between two kills. */
const STEPS_A_KILL = 40
const flags = [
  ...['--data', text, '--steps', String(times * STEPS_A_KILL), '--batch', '2', '--length', '32'],
  ...['--sample-every', '0', '--look-every', '0', '--eval-every', '1000000'],
]

/**
 * Runs `bitnet train`.
 *
 * @param kill checkpoints that it writes, and then milliseconds, before it is killed; unset: it is not
 * @returns whether it ended by itself
 */
function run(out, more, kill) {
  const args = [main, 'train', '--out', join(folder, out), ...flags, '--threads', '1', ...more]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  let timer
  child.stderr.on('data', (piece) => {
    said = `${said}${piece}`
    const written = said.split(': wrote ').length - 1
    if (kill === undefined || timer !== undefined || written < kill.checkpoints) return
    timer = setTimeout(() => child.kill('SIGKILL'), kill.milliseconds)
  })
  return new Promise((resolve, reject) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      if (signal === 'SIGKILL') resolve(false)
      else if (code === 0) resolve(true)
      else reject(new Error(`bitnet train ended with ${code}: ${said.slice(-2000)}`))
    })
  })
}

function checkpoints(out) {
  return readdirSync(join(folder, out))
    .filter((name) => /^step-\d+$/.test(name))
    .sort()
}

function hashOf(out) {
  const path = join(folder, out, checkpoints(out).at(-1))
  const hash = createHash('sha256')
  for (const name of readdirSync(path)
    .filter((file) => file.endsWith('.safetensors'))
    .sort()) {
    hash.update(name).update(readFileSync(join(path, name)))
  }
  return hash.digest('hex')
}

/** So that it is writing as often as it learns. */
const OFTEN = ['--save-every', '2']

try {
  let kills = 0
  let done = false
  while (!done && kills < times) {
    const resumes = kills > 0 && checkpoints('killed').length > 0
    // While it starts, while it learns, while it writes.
    const kill = { checkpoints: Math.floor(Math.random() * 4), milliseconds: Math.random() * 400 }
    done = await run('killed', resumes ? [...OFTEN, '--resume'] : OFTEN, kill)
    if (!done) kills++
    console.error(`${kills} kills, ${checkpoints('killed').at(-1) ?? 'no checkpoint'}`)
  }
  if (!done) await run('killed', ['--resume'])
  await run('whole', [])
  const isSame = hashOf('killed') === hashOf('whole')
  console.log(`${kills} kills: ${isSame ? 'the bits of an unbroken run' : 'OTHER BITS'}`)
  process.exitCode = isSame && kills === times ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
