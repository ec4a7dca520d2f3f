/**
 * `bitnet batch`: a file of requests, as OpenAI's batches have them, answered without a server; and the batches of
 * a file where they are kept.
 */
import { createHash } from 'node:crypto'
import type { Command } from 'commander'
import { UsageError } from '../../../errors.ts'
import { isRedis, openBatchStore } from '../../../node/batch/open-store.ts'
import { statOf } from '../../../node/files/system.ts'
import { requirePlace, writeWhole } from '../../../node/files/write-file.ts'
import { createBitnetServer } from '../../../server/app.ts'
import { addBatch, BATCH_ENDPOINTS, batchBody } from '../../../server/batch/routes.ts'
import type { Batch, BatchStore } from '../../../server/batch/store.ts'
import { ANYONE } from '../../../server/limits/api-keys.ts'
import { createdNow } from '../../../server/openai/fields.ts'
import type { CommandContext } from '../../command-context.ts'
import { readTextFile } from '../../console/input.ts'
import { counted } from '../../console/quantities.ts'
import { EXIT } from '../../console/surroundings.ts'
import { writeLine } from '../../console/terminal.ts'
import { defineCommand, defineGroup, type JsonFlag } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'

export interface BatchRunFlags extends ModelFlags, JsonFlag {
  readonly output?: string
  readonly queue?: string
  readonly parallel?: number
  readonly detach?: boolean
}

interface QueueFlags extends JsonFlag {
  readonly queue: string
  readonly owner?: string
}

interface StatusFlags extends QueueFlags {
  readonly output?: string
}

/** Nobody waits longer than this for a line of a batch on their own machine. */
const WINDOW = '720h'

export const run = defineCommand<BatchRunFlags, [input: string]>({
  flags: (command) =>
    addModelFlags(command.argument('<input>', 'requests, one a line, as OpenAI has them'))
      .option('-o, --output <file>', 'where answers go (default: standard output)')
      .option(
        '--queue <where>',
        'what is done so far, to go on after a stop: a file, or redis://HOST:PORT (default: INPUT.queue)',
      )
      .option('--detach', 'leave the work to others at the same queue, and print the batch')
      .option(
        '--parallel <count>',
        'lines at a time (default: 16)',
        wholeNumber({ min: 1, max: 256 }),
      ),
  json: 'print the batch as one JSON object; needs --output',
  examples: `\
  $ bitnet batch run requests.jsonl -o answers.jsonl
  $ bitnet batch run requests.jsonl -m bitnet-2b -o answers.jsonl --parallel 32
  $ bitnet batch run requests.jsonl --queue redis://10.0.0.5:6379 --detach

A line: {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [...]}}
Stopped at any point, the same command goes on where it was. Lines that failed are in OUTPUT.errors.`,
  async run(context, flags, input) {
    const { detach = false } = flags
    if (context.isJson && flags.output === undefined && !detach) {
      throw new UsageError('Expected --output FILE beside --json, which prints the batch alone.')
    }
    const content = new TextEncoder().encode(await readTextFile(input))
    if (flags.output !== undefined) await requirePlace(flags.output)
    const store = await openBatchStore(flags.queue ?? `${input}.queue`)
    const { signal } = context
    let ended: Batch
    try {
      const batch = await batchOfInput(store, content)
      if (detach) {
        await context.print(batchBody(batch), () => [[[batch.id, described(batch)]]])
        return
      }
      ended = batch.status === 'in_progress' ? await work(context, flags, store, batch) : batch
      if (ended.status !== 'in_progress') await writeResults(context, flags.output, store, ended)
    } finally {
      await store.close()
    }
    const { completed, failed } = ended.counts
    if (signal.aborted) context.exitCode = EXIT.interrupted
    else if (failed > 0) context.exitCode = EXIT.failure
    if (context.isJson) await context.print(batchBody(ended), () => [])
    await context.remark(`${counted(completed, 'answer')}, ${counted(failed, 'failure')}`)
  },
})

const status = defineCommand<StatusFlags, [id?: string]>({
  flags: (command) =>
    queueFlags(command.argument('[id]', 'a batch (default: the last 100)')).option(
      '-o, --output <file>',
      'writes what is answered so far, and what failed to FILE.errors; needs ID',
    ),
  async run(context, flags, id) {
    const { output } = flags
    if (output !== undefined && id === undefined) {
      throw new UsageError('Expected the id of a batch beside --output.')
    }
    await withStore(flags, async (store, owner) => {
      const batches =
        id === undefined ? await store.batches(owner, 100) : [await found(store, owner, id)]
      if (output !== undefined) await writeResults(context, output, store, batches[0])
      await context.print({ batches: batches.map(batchBody) }, () => [
        batches.map((one): [string, string] => [one.id, described(one)]),
      ])
    })
  },
})

const cancel = defineCommand<QueueFlags, [id: string]>({
  flags: (command) => queueFlags(command.argument('<id>', 'a batch')),
  async run(context, flags, id) {
    await withStore(flags, async (store, owner) => {
      await found(store, owner, id)
      await store.cancel(owner, id)
      await store.finish()
      const batch = await found(store, owner, id)
      await context.print(batchBody(batch), () => [[[batch.id, described(batch)]]])
    })
  },
})

export const command = defineGroup(
  `\
  $ bitnet batch run requests.jsonl -o answers.jsonl
  $ bitnet batch run requests.jsonl --queue redis://10.0.0.5:6379 --detach
  $ bitnet batch status --queue batches.sqlite
  $ bitnet batch cancel batch-0123 --queue batches.sqlite`,
  [
    ['run', 'answer a file of requests', run],
    ['status', 'show what is done of batches', status],
    ['cancel', 'let no line of a batch begin any more', cancel],
  ],
)

function queueFlags(command: Command): Command {
  return command
    .requiredOption('--queue <where>', 'where batches are kept, as with bitnet serve')
    .option('--owner <name>', 'the name of the key whose batches these are (default: of no key)')
}

async function withStore(
  { queue, owner = ANYONE.name }: QueueFlags,
  use: (store: BatchStore, owner: string) => Promise<void>,
): Promise<void> {
  if (!isRedis(queue) && (await statOf(queue)) === undefined) {
    throw new UsageError(`Expected a file of batches at ${queue}, but there is none.`)
  }
  const store = await openBatchStore(queue)
  try {
    await use(store, owner)
  } finally {
    await store.close()
  }
}

async function found(store: BatchStore, owner: string, id: string): Promise<Batch> {
  const batch = await store.batch(owner, id)
  if (batch !== undefined) return batch
  throw new UsageError(`Expected the id of a batch, got ${JSON.stringify(id.slice(0, 100))}.`)
}

/** The batch of this very content, whatever has been done of it. @throws UsageError for lines that are none */
async function batchOfInput(store: BatchStore, content: Uint8Array): Promise<Batch> {
  const owner = ANYONE.name
  const id = `file-${createHash('sha256').update(content).digest('hex').slice(0, 32)}`
  const known = (await store.batches(owner, 1000)).find(({ inputFile }) => inputFile === id)
  if (known !== undefined) return known
  const text = new TextDecoder().decode(content)
  const endpoint = BATCH_ENDPOINTS.find((one) => text.includes(JSON.stringify(one)))
  if (endpoint === undefined) {
    throw new UsageError(`Expected lines whose url is one of ${BATCH_ENDPOINTS.join(', ')}.`)
  }
  if ((await store.file(owner, id)) === undefined) {
    const file = { id, filename: 'input.jsonl', purpose: 'batch', createdAt: createdNow() }
    await store.addFile(owner, file, content)
  }
  const batch = await addBatch(store, owner, {
    endpoint,
    input_file_id: id,
    completion_window: WINDOW,
  })
  const [fault] = batch.faults
  if (fault === undefined) return batch
  await store.removeFile(owner, id)
  throw new UsageError(`Line ${fault.line} of the input: ${fault.message}`)
}

/** Works on it until it has ended or Ctrl-C. */
async function work(
  context: CommandContext,
  flags: BatchRunFlags,
  store: BatchStore,
  batch: Batch,
): Promise<Batch> {
  const { signal, status } = context
  const model = await context.loadModel(flags)
  const { parallel = 16 } = flags
  const server = createBitnetServer({
    models: [{ id: model.name, load: async () => model }],
    limits: { active: parallel, waiting: 1 },
    batches: store,
    batchLines: parallel,
    anyModel: true,
  })
  const goesOn = async () => {
    const { endedAt, counts } = await found(store, batch.owner, batch.id)
    status.show(`${counts.completed + counts.failed} of ${counts.total} lines`)
    return endedAt === undefined
  }
  try {
    await server.drainBatches(signal, goesOn)
  } finally {
    status.clear()
    await server.close()
  }
  return found(store, batch.owner, batch.id)
}

/** What there is of it: files where it has ended, and what was done so far where it goes on. */
async function writeResults(
  { stdout }: CommandContext,
  output: string | undefined,
  store: BatchStore,
  { id, owner, endedAt, outputFile, errorFile }: Batch,
): Promise<void> {
  const contentOf = async (file: string | undefined) =>
    file === undefined ? undefined : await store.content(owner, file)
  const [answers, errors] =
    endedAt === undefined
      ? [await store.results(owner, id, 'output'), await store.results(owner, id, 'error')]
      : [await contentOf(outputFile), await contentOf(errorFile)]
  if (output === undefined) {
    if (answers !== undefined) await writeLine(stdout, new TextDecoder().decode(answers).trimEnd())
    return
  }
  await writeWhole(output, answers ?? '')
  if (errors !== undefined) await writeWhole(`${output}.errors`, errors)
}

function described({ status, counts, endpoint }: Batch): string {
  const { total, completed, failed } = counts
  return `${status}, ${completed + failed} of ${counted(total, 'line')}, ${failed} failed, ${endpoint}`
}
