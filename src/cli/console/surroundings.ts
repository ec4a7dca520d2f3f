/**
 * What a command touches besides its flags: streams, environment variables, Ctrl-C and the loader of
 * models. Commands get it as a parameter, so that tests run them in this process with a model of
 * their own; main.ts passes the real one.
 */
import type { Readable, Writable } from 'node:stream'
import type { loadEngine, loadModel } from '../../node/load-model.ts'

export type InputStream = Readable & {
  readonly isTTY?: boolean
  /** Of a terminal: keys come as they are pressed, and none is a signal. */
  setRawMode?(isRaw: boolean): unknown
}
export type OutputStream = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export interface Surroundings {
  readonly stdin: InputStream
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
  /** What was typed behind the program's name, for reports that tell how they were made. */
  readonly args?: readonly string[]
  readonly loadModel: typeof loadModel
  /** For speed tests, which need no text. */
  readonly loadEngine: typeof loadEngine
  /**
   * Calls `handler` on Ctrl-C (SIGINT) until the returned function is called. While nobody listens,
   * Ctrl-C ends the process as usual.
   */
  onInterrupt(handler: () => void): () => void
}

/** Exit codes of the `bitnet` command. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

/** What COLUMNS says, else the terminal's width; undefined in pipes, whose lines programs read. */
export function widthOf({ stdout, env }: Pick<Surroundings, 'stdout' | 'env'>): number | undefined {
  const columns = Number(env['COLUMNS'] ?? stdout.columns)
  if (Number.isSafeInteger(columns) && columns > 0) return columns
  return stdout.isTTY === true ? USUAL_COLUMNS : undefined
}

/** Of terminals that do not tell, and of help in a pipe. */
export const USUAL_COLUMNS = 80
