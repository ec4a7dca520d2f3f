/**
 * From an error to a message on standard error and an exit code. A user's mistake gets a sentence,
 * never a stack trace; DEBUG=1 adds the trace.
 */
import { CommanderError } from 'commander'
import { messageOf } from '../../checks.ts'
import { BitnetError, ModelNotFoundError, UsageError } from '../../errors.ts'
import { EXIT, type Surroundings } from './surroundings.ts'

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
    const message = messageOf(error)
    const isOurs = error instanceof BitnetError || isSystemError(error)
    stderr.write(`bitnet: ${isOurs ? '' : 'unexpected error: '}${message}\n`)
    if (env['DEBUG'] && error instanceof Error) stderr.write(`${error.stack ?? ''}\n`)
    else if (!isOurs) stderr.write('Set DEBUG=1 to see where it came from.\n')
  }
  return exitCodeOf(error)
}

/** Errors of the operating system carry a code such as ENOENT and name the path. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}
