/** `bitnet worker`: works on batches that others take in. */
import { openBatchStore } from '../../../node/batch/open-store.ts'
import { createBitnetServer } from '../../../server/app.ts'
import { defineCommand } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'
import {
  addServedFlags,
  logTo,
  MOST_LINES,
  type ServedFlags,
  servedModels,
  untilInterrupted,
} from '../serve/serving.ts'

export interface WorkerFlags extends ServedFlags {
  readonly queue: string
  readonly parallel?: number
  readonly lease?: number
  readonly json?: boolean
}

const PARALLEL = 16

export const command = defineCommand<WorkerFlags>({
  flags: (command) =>
    addServedFlags(command)
      .requiredOption('--queue <where>', 'redis://HOST:PORT, or the file of bitnet serve')
      .option(
        '--parallel <count>',
        `lines at a time (default: ${PARALLEL})`,
        wholeNumber({ min: 1, max: MOST_LINES }),
      )
      .option(
        '--lease <seconds>',
        'lines of a worker that is lost are free for others after so long (default: 60)',
        wholeNumber({ min: 1, max: 3600 }),
      ),
  examples: `\
  $ bitnet serve --queue redis://10.0.0.5:6379 --batch-lines 0
  $ bitnet worker --queue redis://10.0.0.5:6379 -m bitnet-2b     on each machine that helps

Workers come and go as they like: others take over the lines of one that is lost. Ctrl-C or SIGTERM gives back what
is worked on.`,
  async run(context, flags) {
    const { queue, parallel = PARALLEL, lease } = flags
    const batches = await openBatchStore(queue)
    try {
      const { first, served } = await servedModels(context, flags)
      const server = createBitnetServer({
        models: served,
        limits: { active: parallel, waiting: 1 },
        batches,
        batchLines: parallel,
        ...(lease === undefined ? {} : { batchLease: lease }),
        log: logTo(context, flags.log),
        logsContent: flags.log === 'prompts',
      })
      const ids = served.map(({ id }) => id)
      await context.print({ models: ids, parallel }, () => [
        [['working on batches', `${ids.join(', ')} on ${first.backend.description}`]],
      ])
      await untilInterrupted(context, () => server.close())
    } finally {
      await batches.close()
    }
  },
})
