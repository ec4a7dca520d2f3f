/**
 * Ties a command to this process: its streams, Ctrl-C, a reader that goes away, and the exit code.
 */
import { reportFailure } from './failure.ts'
import { EXIT, type Surroundings } from './surroundings.ts'
import { flush, keepErrors } from './terminal.ts'

export async function runInProcess(
  command: (surroundings: Surroundings) => Promise<number>,
): Promise<void> {
  keepErrors(process.stdout)
  keepErrors(process.stderr)
  const surroundings: Surroundings = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    // Imported when they are needed: help and lists of the cache need neither.
    loadModel: async (source, options) =>
      (await import('../../node/load-model.ts')).loadModel(source, options),
    loadEngine: async (source, options) =>
      (await import('../../node/load-model.ts')).loadEngine(source, options),
    onInterrupt: (handler) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, handler)
      return () => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, handler)
      }
    },
  }
  const exitCode = await command(surroundings)
  try {
    if (exitCode === EXIT.ok) await flush(process.stdout)
    process.exitCode = exitCode
  } catch (error) {
    process.exitCode = reportFailure(error, surroundings)
  }
}
