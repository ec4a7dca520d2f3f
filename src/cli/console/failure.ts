/**
 * From an error to a message on standard error and an exit code. A user's mistake gets a sentence,
 * never a stack trace; DEBUG=1 adds the trace.
 */
import { CommanderError } from 'commander'
import { messageOf } from '../../checks.ts'
import { BitnetError, ModelNotFoundError, UsageError } from '../../errors.ts'
import type { Steps } from '../../steps.ts'
import { cleanText } from './clean-text.ts'
import { EXIT, type Surroundings } from './surroundings.ts'
import { proseFor } from './wrap.ts'

/** What every error on standard error begins with. */
export const ERROR_PREFIX = 'bitnet: '

/** The exit code that tells what kind of error this is. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof UsageError || error instanceof ModelNotFoundError) return EXIT.usage
  return EXIT.failure
}

/** True for the error that an aborted operation throws. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')
}

/** Writes the message, where there is one to write, and returns the exit code. */
export function reportFailure(error: unknown, { stderr, env }: Surroundings): number {
  if (isAbort(error)) return EXIT.interrupted
  // Commander has written its own message (or the help text) by now.
  if (!(error instanceof CommanderError)) {
    const message = cleanText(messageFor(error))
    const isOurs = error instanceof BitnetError || isSystemError(error) || isOutOfMemory(error)
    const told = `${ERROR_PREFIX}${isOurs ? '' : 'unexpected error: '}${message}`
    stderr.write(`${proseFor(stderr, told, env)}\n`)
    if (env['DEBUG'] && error instanceof Error) {
      stderr.write(`${cleanText(error.stack ?? '')}\n`)
    } else if (!isOurs) stderr.write('Set DEBUG=1 to see where it came from.\n')
  }
  return exitCodeOf(error)
}

/** Errors of the operating system carry a code such as ENOENT and name the path. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}

/** The system's reason without its code, its call and its path: "no such file or directory". */
export function reasonOf({ message }: NodeJS.ErrnoException): string {
  return message.replace(/^[A-Z\d_]+: /, '').replace(/, \w+(?: '.*')?$/s, '')
}

function messageFor(error: unknown): string {
  if (isSystemError(error)) return sentenceOf(error)
  if (!isOutOfMemory(error)) return messageOf(error)
  return (
    `Expected more memory than this system gives (${error.message}). Use a smaller model or text, or ` +
    'end other programs.'
  )
}

/** What V8 throws where a buffer or a text is too large for it, or for the system. */
function isOutOfMemory(error: unknown): error is RangeError {
  return (
    error instanceof RangeError &&
    /allocation failed|allocate memory|invalid (string|(typed )?array|array buffer) length/i.test(
      error.message,
    )
  )
}

function sentenceOf(error: NodeJS.ErrnoException): string {
  const { path, syscall } = error
  return `Cannot ${path === undefined ? syscall : `${syscall} ${path}`}: ${reasonOf(error)}.`
}

/** The deliberate error that `check` throws, if it does. */
export function* whyRefused(check: () => Steps<unknown>): Steps<BitnetError | undefined> {
  try {
    yield* check()
    return undefined
  } catch (error) {
    if (error instanceof BitnetError) return error
    throw error
  }
}
