/**
 * The built `bitnet` program as a child process. Builds dist/ first if it is missing or older than
 * the sources; a lock keeps two test files from building at once.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = join(ROOT, 'dist', 'cli', 'main.js')
const LOCK = join(tmpdir(), `bitnet-build-${Buffer.from(ROOT).toString('base64url').slice(-40)}`)
/** A build takes seconds; a lock older than this belongs to a test that was killed. */
const LOCK_MS = 60_000

/** True if the embedded model is there, as in every clone; the tests that run it are skipped otherwise. */
export function hasEmbeddedModel(): boolean {
  return existsSync(join(ROOT, 'models', 'bitnet-ja-en-58m.gguf'))
}

export async function buildProgram(): Promise<void> {
  while (!isFresh()) {
    try {
      mkdirSync(LOCK)
    } catch {
      const made = statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
      if (Date.now() - made > LOCK_MS) rmSync(LOCK, { recursive: true, force: true })
      await sleep(200)
      continue
    }
    try {
      const script = join(ROOT, 'scripts', 'build.mjs')
      execFileSync(process.execPath, [script], { cwd: ROOT, stdio: 'pipe' })
    } finally {
      rmSync(LOCK, { recursive: true, force: true })
    }
  }
}

function isFresh(): boolean {
  const built = statSync(MAIN, { throwIfNoEntry: false })
  if (built === undefined) return false
  const src = join(ROOT, 'src')
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|cases\.ts$/.test(file))
    .every((file) => statSync(join(src, file)).mtimeMs <= built.mtimeMs)
}

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface Started {
  readonly child: ChildProcess
  readonly outcome: Promise<Outcome>
  /** Settles when standard output contains `text`. */
  waitFor(text: string | RegExp): Promise<void>
}

export interface RunOptions {
  readonly input?: string
  readonly env?: Record<string, string>
  readonly cwd?: string
}

/** Starts `node script args`; standard input stays open unless `input` is given. */
export function start(
  script: string,
  args: readonly string[],
  { input, env, cwd = ROOT }: RunOptions = {},
): Started {
  const child = spawn(process.execPath, [script, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: 'pipe',
  })
  const text = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text.out += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk
  })
  // A program that ends without reading its input closes the pipe: that is its right.
  child.stdin.on('error', () => {})
  if (input !== undefined) child.stdin.end(input)
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...text }))
  })
  const waitFor = async (wanted: string | RegExp): Promise<void> => {
    while (typeof wanted === 'string' ? !text.out.includes(wanted) : !wanted.test(text.out)) {
      if (child.exitCode !== null) throw new Error(`It ended before ${wanted}: ${text.err}`)
      await sleep(5)
    }
  }
  return { child, outcome, waitFor }
}

/** Runs `bitnet args` to its end. */
export function bitnet(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return start(MAIN, args, { input: '', ...options }).outcome
}

/** Starts `bitnet args` with an open standard input. */
export function startBitnet(args: readonly string[], options: RunOptions = {}): Started {
  return start(MAIN, args, options)
}

/** Settles when a process has worked for some hundredths of a second, on all of its threads together. */
export async function untilBusy(child: ChildProcess, hundredths = 200): Promise<void> {
  if (process.platform !== 'linux') return sleep(10 * hundredths)
  const path = `/proc/${child.pid}/stat`
  const worked = () => {
    const fields = readFileSync(path, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  }
  while (child.exitCode === null && existsSync(path) && worked() < hundredths) await sleep(20)
}
