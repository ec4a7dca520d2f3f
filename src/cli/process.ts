/**
 * Ties a command to this process: its streams, Ctrl-C, a reader that goes away, and the exit code.
 */
import { loadEngine } from '../node/load-engine.ts'
import { loadModel } from '../node/load-model.ts'
import type { Surroundings } from './surroundings.ts'
import { endQuietlyWhenClosed } from './terminal.ts'

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
    loadEngine,
    onInterrupt: (handler) => {
      process.on('SIGINT', handler)
      return () => process.off('SIGINT', handler)
    },
  })
}
