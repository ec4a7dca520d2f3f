/**
 * What every command has around what is its own: streams, a status line, Ctrl-C, models that load with
 * progress, and the one way to print a result, as JSON or for people.
 */
import type { LanguageModel } from '../generate/language-model.ts'
import { type LoadOptions, pickLoadSettings } from '../generate/load/load-options.ts'
import type { LoadedEngine } from '../generate/load/loading.ts'
import { EXIT, type Surroundings } from './console/surroundings.ts'
import {
  dim,
  StatusLine,
  showDownloadProgress,
  showLoadProgress,
  writeJson,
  writeLine,
} from './console/terminal.ts'
import type { ModelFlags } from './flags/load-flags.ts'

export class CommandContext {
  readonly stdin: Surroundings['stdin']
  readonly stdout: Surroundings['stdout']
  readonly stderr: Surroundings['stderr']
  readonly env: Surroundings['env']
  /** Progress, on standard error; cleared before a result is printed, and at the end. */
  readonly status: StatusLine
  /** Whether `--json` is given. */
  readonly isJson: boolean
  /** How the command ends, unless it throws. */
  exitCode: number = EXIT.ok
  readonly #surroundings: Surroundings
  readonly #controller = new AbortController()
  #release: (() => void) | undefined

  constructor(surroundings: Surroundings, isJson: boolean) {
    this.stdin = surroundings.stdin
    this.stdout = surroundings.stdout
    this.stderr = surroundings.stderr
    this.env = surroundings.env
    this.status = new StatusLine(surroundings.stderr)
    this.isJson = isJson
    this.#surroundings = surroundings
  }

  /**
   * Aborted by the first Ctrl-C; the second one then ends the process, as the first does in a command
   * that never asks for the signal.
   */
  get signal(): AbortSignal {
    if (this.#release === undefined) this.onInterrupt(this.abort)
    return this.#controller.signal
  }

  /** Aborts {@link signal}. */
  readonly abort = (): void => {
    this.#release?.()
    this.#controller.abort()
  }

  /** From now on Ctrl-C calls `handler`, every time, and aborts no signal. */
  onInterrupt(handler: () => void): void {
    this.#release?.()
    this.#release = this.#surroundings.onInterrupt(handler)
  }

  /** Loads the model of the flags, with progress. The caller disposes of it. */
  async loadModel(flags: ModelFlags): Promise<LanguageModel> {
    const model = await this.#load(this.#surroundings.loadModel, flags)
    for (const warning of model.warnings) await this.remark(warning)
    return model
  }

  /** The same for what speed tests drive. */
  async loadEngine(flags: ModelFlags): Promise<LoadedEngine & AsyncDisposable> {
    const engine = await this.#load(this.#surroundings.loadEngine, flags)
    return { ...engine, [Symbol.asyncDispose]: () => engine.dispose() }
  }

  async #load<T>(
    load: (source: string | undefined, options: LoadOptions) => Promise<T>,
    flags: ModelFlags,
  ): Promise<T> {
    // A line of its own: in a log, what loads within ten seconds leaves no trace.
    const line = new StatusLine(this.stderr)
    try {
      return await load(flags.model, {
        ...pickLoadSettings(flags),
        onProgress: showLoadProgress(line),
        onDownload: showDownloadProgress(line),
        signal: this.signal,
      })
    } finally {
      line.clear()
    }
  }

  /** The result: with `--json` one object and nothing else on standard output, otherwise lines. */
  async print(value: unknown, lines: () => readonly string[]): Promise<void> {
    this.status.clear()
    if (this.isJson) await writeJson(this.stdout, value)
    else await writeLine(this.stdout, lines().join('\n'))
  }

  /** A remark beside the result, on standard error. */
  async remark(text: string): Promise<void> {
    await writeLine(this.stderr, dim(text, this.stderr, this.env))
  }

  end(): void {
    this.status.clear()
    this.#release?.()
  }
}
