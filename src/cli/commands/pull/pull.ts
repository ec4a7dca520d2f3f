/**
 * `bitnet pull`: fetches a model by its name, so that it is there when the network is not.
 */
import type { Command } from 'commander'
import { UsageError } from '../../../errors.ts'
import { pullModel } from '../../../node/hub/pull-model.ts'
import { resolveName } from '../../../node/resolve-model.ts'
import { formatBytes } from '../../console/quantities.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { StatusLine, showDownloadProgress, writeJson, writeLine } from '../../console/terminal.ts'

interface PullFlags {
  readonly json?: boolean
}

export function addPullCommand(
  command: Command,
  run: (name: string, flags: PullFlags) => Promise<void>,
): void {
  command
    .argument('<model>', 'alias, owner/name, hf:owner/name[:file][@revision] or address')
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet pull bitnet-2b
  $ bitnet pull hf:owner/name:model-i2_s.gguf@main
  $ bitnet models                                    lists the aliases`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runPull(
  name: string,
  flags: PullFlags,
  surroundings: Surroundings,
): Promise<number> {
  const { stdout, stderr, env } = surroundings
  const resolved = await resolveName(name, env)
  if (resolved.kind === 'path') {
    throw new UsageError(
      `Expected a model to fetch, but "${name}" is on this machine already, at ${resolved.path}. ` +
        'For a model of the hub with the same name, write hf: before it.',
    )
  }
  const line = new StatusLine(stderr)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  try {
    const pulled = await pullModel(resolved.model, resolved.settings, {
      signal,
      onDownload: showDownloadProgress(line),
      onChosen: ({ model, reason, files, totalBytes }) => {
        const what = files === 1 ? '1 file' : `${files} files`
        line.clear()
        stderr.write(`${model}: ${reason} (${what}, ${formatBytes(totalBytes)})\n`)
      },
    })
    line.clear()
    if (flags.json) await writeJson(stdout, pulled)
    else await writeLine(stdout, pulled.path)
    return EXIT.ok
  } finally {
    line.clear()
    release()
  }
}
