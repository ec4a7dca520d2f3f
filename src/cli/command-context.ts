/**
 * What every command has around what is its own: streams, a status line, Ctrl-C, models that load with
 * progress, and the one way to print a result, as JSON or for people.
 */
import { readCpuCores } from '../backends/native/cpu-cores.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import { type LoadOptions, pickLoadSettings } from '../generate/load/load-options.ts'
import type { LoadedEngine } from '../generate/load/loading.ts'
import { statOf } from '../node/files/system.ts'
import { ERROR_PREFIX } from './console/failure.ts'
import { FRAME_TEXTS, type FrameTexts } from './console/frame-texts.ts'
import type { Language } from './console/language.ts'
import { EXIT, type Surroundings, widthOf } from './console/surroundings.ts'
import { formatReport, type ReportPart, type TableStyle } from './console/table.ts'
import {
  StatusLine,
  showDownloadProgress,
  showLoadProgress,
  writeJson,
  writeLine,
  writeProse,
  writeRemark,
} from './console/terminal.ts'
import type { ModelFlags } from './flags/load-flags.ts'

/** After so much silence people wonder. */
const PATIENCE_MS = 2000

/** Flags that the frame knows of. */
export interface FormatFlags {
  readonly json?: boolean
  readonly markdown?: boolean
}

export class CommandContext {
  readonly stdin: Surroundings['stdin']
  readonly stdout: Surroundings['stdout']
  readonly stderr: Surroundings['stderr']
  readonly env: Surroundings['env']
  /** Progress, on standard error; cleared before a result is printed, and at the end. */
  readonly status: StatusLine
  /** How reports are printed. */
  readonly style: TableStyle
  /** What a command with --lang speaks; the others English. */
  readonly language: Language
  /** What all commands say, in that language. */
  readonly texts: FrameTexts
  /** Whether `--json` is given. */
  readonly isJson: boolean
  /** How the command ends, unless it throws. */
  exitCode: number = EXIT.ok
  /** For a command that another one takes over. */
  readonly surroundings: Surroundings
  readonly #controller = new AbortController()
  #release: (() => void) | undefined
  #hasWarned = false

  constructor(
    surroundings: Surroundings,
    { json, markdown }: FormatFlags,
    language: Language = 'en',
  ) {
    this.language = language
    this.texts = FRAME_TEXTS[language]
    this.stdin = surroundings.stdin
    this.stdout = surroundings.stdout
    this.stderr = surroundings.stderr
    this.env = surroundings.env
    this.status = new StatusLine(surroundings.stderr)
    this.isJson = json === true
    this.style = { markdown, width: widthOf(surroundings) }
    this.surroundings = surroundings
  }

  /** What was typed, as a shell reads it again. */
  get commandLine(): string {
    const { args = [] } = this.surroundings
    const quoted = args.map((arg) =>
      /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`,
    )
    return ['bitnet', ...quoted].join(' ')
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
    this.#release = this.surroundings.onInterrupt(handler)
  }

  /** Does what may wait for somebody else, and tells of it after two seconds of silence. */
  async waitingFor<T>(what: string, work: () => Promise<T>, line = this.status): Promise<T> {
    const timer = setTimeout(() => line.say(what), PATIENCE_MS)
    try {
      return await work()
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Loads the model of the flags, with progress. The caller disposes of it.
   *
   * @param signal unset: Ctrl-C's
   */
  async loadModel(flags: ModelFlags, signal?: AbortSignal): Promise<LanguageModel> {
    const model = await this.#load(this.surroundings.loadModel, flags, signal)
    for (const warning of model.warnings) await this.remark(warning)
    return model
  }

  /** The same for what speed tests drive. */
  async loadEngine(flags: ModelFlags): Promise<LoadedEngine & AsyncDisposable> {
    const engine = await this.#load(this.surroundings.loadEngine, flags)
    return { ...engine, [Symbol.asyncDispose]: () => engine.dispose() }
  }

  async #load<T>(
    load: (source: string | undefined, options: LoadOptions) => Promise<T>,
    flags: ModelFlags,
    signal = this.signal,
  ): Promise<T> {
    // A line of its own: in a log, what loads within ten seconds leaves no trace.
    const line = new StatusLine(this.stderr)
    const begin = () =>
      load(flags.model, {
        ...pickLoadSettings(flags),
        onProgress: showLoadProgress(line, this.texts),
        onDownload: showDownloadProgress(line, this.texts),
        signal,
      })
    try {
      const { model } = flags
      // What lies on this machine shows its progress at once.
      const isHere = model === undefined || (await statOf(model)) !== undefined
      const waiting = this.texts.waitingFor(String(model))
      const loaded = await (isHere ? begin() : this.waitingFor(waiting, begin, line))
      line.clear()
      await this.warnOfThreads(flags.threads)
      return loaded
    } finally {
      line.clear()
    }
  }

  /** Once, however many models are loaded. */
  async warnOfThreads(threads = 0): Promise<void> {
    const { logicalCpus } = readCpuCores()
    if (threads <= logicalCpus || this.#hasWarned) return
    this.#hasWarned = true
    await this.remark(this.texts.threads(threads, logicalCpus))
  }

  /** The result: with `--json` one object and nothing else on standard output, otherwise lines. */
  async print(value: object, parts: () => readonly ReportPart[]): Promise<void> {
    this.status.clear()
    if (this.isJson) await writeJson(this.stdout, value)
    else await writeLine(this.stdout, formatReport(parts(), this.style).join('\n'))
  }

  /** What went wrong with a part of the work, in the form of all errors; the exit code tells of it. */
  async complain(text: string): Promise<void> {
    this.status.clear()
    this.exitCode = EXIT.failure
    await writeProse(this.stderr, `${ERROR_PREFIX}${text}`, this.env)
  }

  /** A remark beside the result, on standard error. */
  async remark(text: string): Promise<void> {
    await writeRemark(this.stderr, text, this.env)
  }

  end(): void {
    this.status.clear()
    this.#release?.()
  }
}
