/**
 * A program in a pseudo-terminal, and what a person sees of it. Python drives the terminal: it is on
 * every machine that builds Node's packages, and needs no native module.
 */
import { spawn, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Screen } from './screen.ts'

const DRIVER = fileURLToPath(new URL('pseudo-terminal.py', import.meta.url))
/** For a machine that is busy with everything else. */
const PATIENCE_MS = 240_000

export function hasPseudoTerminals(): boolean {
  return process.platform !== 'win32' && spawnSync('python3', ['--version']).status === 0
}

export interface TerminalOptions {
  readonly columns: number
  readonly rows?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export class PseudoTerminal {
  readonly screen: Screen
  readonly #child: ReturnType<typeof spawn>
  /** Settles with the exit code when the program has ended and all of it is on the screen. */
  readonly ended: Promise<number | null>
  #hasEnded = false
  /** All that the program has written, sequences for the terminal included. */
  raw = ''

  constructor(
    program: string,
    args: readonly string[],
    { columns, rows = 24, env = {}, cwd }: TerminalOptions,
  ) {
    this.screen = new Screen(columns, rows)
    this.#child = spawn('python3', [DRIVER, `${columns}`, `${rows}`, program, ...args], {
      cwd,
      env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let written = Promise.resolve()
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.raw += data.toString('latin1')
      written = this.screen.write(data)
    })
    this.#child.stdin?.on('error', () => {}) // of a program that has ended
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', (code) => {
        this.#hasEnded = true
        written.then(() => resolve(code), reject)
      })
    })
  }

  type(text: string): void {
    this.#child.stdin?.write(`${JSON.stringify(text)}\n`)
  }

  resize(columns: number, rows: number): void {
    this.screen.resize(columns, rows)
    this.#child.stdin?.write(`${JSON.stringify([columns, rows])}\n`)
  }

  /** Settles when the screen shows it. */
  async see(wanted: string | RegExp): Promise<void> {
    const isThere = (): boolean =>
      typeof wanted === 'string' ? this.screen.text.includes(wanted) : wanted.test(this.screen.text)
    const end = Date.now() + PATIENCE_MS
    while (!isThere()) {
      if (this.#hasEnded || Date.now() > end) {
        await sleep(50)
        if (isThere()) return
        throw new Error(`There is no ${wanted} on the screen:\n${this.screen.text}`)
      }
      await sleep(10)
    }
  }

  /** Hangs up. */
  async close(): Promise<void> {
    this.#child.stdin?.end()
    await this.ended
  }
}
