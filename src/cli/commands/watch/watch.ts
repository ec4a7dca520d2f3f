/**
 * `bitnet watch`: the curves of a run, in a browser.
 */
import { UsageError } from '../../../errors.ts'
import { statOf } from '../../../node/files/system.ts'
import { defineCommand } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'
import { startWatching } from './watching.ts'

interface WatchFlags {
  readonly port?: number
}

export const command = defineCommand<WatchFlags, [folder: string]>({
  flags: (command) =>
    command
      .argument('<run>', 'the folder of a run, at work or over (bitnet train --out)')
      .option(
        '--port <n>',
        'where the page is, 0 for a free one (default: 8090)',
        wholeNumber({ min: 0, max: 65_535 }),
      ),
  examples: `\
  $ bitnet watch run                           loss, codes, samples of a run, live or over
  $ bitnet train --data book.txt --out run --watch      the same while it trains

Only this machine can reach the page. Ctrl-C ends it; the run goes on.`,
  async run(context, { port }, folder) {
    if ((await statOf(folder)) === undefined) {
      throw new UsageError(
        `Expected the folder of a run (bitnet train --out), got nothing at ${folder}.`,
      )
    }
    const { url, stop } = await startWatching(folder, port)
    await context.print({ url, run: folder }, () => [[['page', url]]])
    await new Promise<void>((resolve) => context.onInterrupt(resolve))
    await stop(0)
  },
})
