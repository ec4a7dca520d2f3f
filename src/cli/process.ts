/**
 * Ties a command to this process: its streams, Ctrl-C, a reader that goes away, and the exit code.
 */
import { loadModel } from '../node/load-model.ts'
import type { OutputStream, Surroundings } from './surroundings.ts'

export async function runInProcess(
  command: (surroundings: Surroundings) => Promise<number>,
): Promise<void> {
  endQuietlyWhenClosed(process.stdout)
  endQuietlyWhenClosed(process.stderr)
  process.exitCode = await command({
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    loadModel,
    onInterrupt: (handler) => {
      process.on('SIGINT', handler)
      return () => process.off('SIGINT', handler)
    },
  })
}

/** `| head` closes the pipe early; the commands see that `writable` is false and stop. */
function endQuietlyWhenClosed(stream: OutputStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}
