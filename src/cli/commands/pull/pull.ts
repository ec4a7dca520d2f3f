/**
 * `bitnet pull`: fetches a model by its name, so that it is there when the network is not.
 */
import { UsageError } from '../../../errors.ts'
import type { PullOptions } from '../../../node/hub/pull-files.ts'
import { pullModel } from '../../../node/hub/pull-model.ts'
import { resolveName } from '../../../node/resolve-model.ts'
import { cleanText } from '../../console/clean-text.ts'
import { counted, formatBytes } from '../../console/quantities.ts'
import { showDownloadProgress } from '../../console/terminal.ts'
import { defineCommand, type JsonFlag } from '../../define-command.ts'

export const command = defineCommand<JsonFlag, [name: string]>({
  flags: (command) =>
    command.argument('<model>', 'alias, owner/name, hf:owner/name[:file][@revision] or address'),
  examples: `\
  $ bitnet pull bitnet-2b
  $ bitnet pull hf:owner/name:model-i2_s.gguf@main
  $ bitnet models                                    lists the aliases`,
  async run(context, _, name) {
    const { stderr, env, status } = context
    const resolved = await resolveName(name, env)
    if (resolved.kind === 'path') {
      throw new UsageError(
        `Expected a model to fetch, but "${name}" is on this machine already, at ${resolved.path}. ` +
          'For a model of the hub with the same name, write hf: before it.',
      )
    }
    const options: PullOptions = {
      signal: context.signal,
      onDownload: showDownloadProgress(status, context.texts),
      onChosen: ({ model, reason, files, totalBytes }) => {
        status.clear()
        const line = `${model}: ${reason} (${counted(files, 'file')}, ${formatBytes(totalBytes)})`
        stderr.write(`${cleanText(line)}\n`)
      },
    }
    const pulled = await context.waitingFor(`Waiting for ${name}`, () =>
      pullModel(resolved.model, resolved.settings, options),
    )
    await context.print(pulled, () => [pulled.path])
  },
})
