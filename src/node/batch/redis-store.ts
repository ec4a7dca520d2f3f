/**
 * Batches in Redis: for any number of machines. Lines wait in a queue of BullMQ, which leases them, gives those of
 * lost workers to others and keeps what was given up; their results lie beside it, one a line. Needs the packages
 * bullmq and ioredis, which only this needs.
 */
import type { Job, Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { endingOf, resultFile, unbegunLine } from '../../server/batch/endings.ts'
import {
  type Batch,
  type BatchStore,
  BatchStoreError,
  type LineResult,
  type NewLine,
  RESULT_KINDS,
  type ResultKind,
  type StoredFile,
  type TakenLine,
} from '../../server/batch/store.ts'
import { createdNow } from '../../server/openai/fields.ts'
import { batchOf, rowOf } from './redis-rows.ts'

/** In braces, so that a cluster keeps all at one place. */
const PREFIX = '{bitnet}'
const QUEUE = 'lines'
const OPEN = `${PREFIX}:open`
const ORDER = `${PREFIX}:order`
/** Lines, and results, that go to Redis at a time. */
const CHUNK = 1000
/** Of a batch that is not queued after so many seconds, whoever did it is gone. */
const QUEUED_WITHIN = 60
const CONNECT_MS = 5000
/** An answer of Redis takes no longer: files have up to hundreds of megabytes. */
const COMMAND_MS = 30_000
/** Whoever asks for batches waits so long for a Redis that is away: one that starts again may be back by then. */
const READY_MS = 1500
/** At growing intervals: some ten seconds, in which a Redis starts again. */
const MOST_RETRIES = 20
/** How often one of the workers looks for lines whose lease is over. */
const LOOK_MS = 1000
/** What was given up stays to be looked at: 30 days, at most so many. */
const GIVEN_UP = { age: 30 * 24 * 3600, count: 100_000 }

/** One result a line, of batches that go on. KEYS batch, results; ARGV number, result, counted as. */
const SETTLE = `
  local status = redis.call('HGET', KEYS[1], 'status')
  if status ~= 'in_progress' and status ~= 'cancelling' then return 0 end
  if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
  redis.call('HINCRBY', KEYS[1], ARGV[3], 1)
  return 1`

/** Ends a batch once. KEYS batch, open, results, requests; ARGV id, fields and values. */
const END = `
  if redis.call('SREM', KEYS[2], ARGV[1]) == 0 then return 0 end
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
  redis.call('DEL', KEYS[3], KEYS[4])
  return 1`

/** KEYS batch; ARGV seconds. */
const CANCEL = `
  if redis.call('HGET', KEYS[1], 'status') ~= 'in_progress' then return 0 end
  return redis.call('HSET', KEYS[1], 'status', 'cancelling', 'cancelledAt', ARGV[1])`

type LineData = Pick<TakenLine, 'batch' | 'number'>

/** @throws UsageError if the packages are not there, or no Redis is */
export async function openRedisStore(url: string): Promise<BatchStore> {
  const [bullmq, ioredis] = await Promise.all([import('bullmq'), import('ioredis')]).catch(() => {
    throw new UsageError(
      'Expected the packages bullmq and ioredis, which keep batches in Redis. Install them beside this one: ' +
        'npm install bullmq ioredis',
    )
  })
  const client = new ioredis.Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    maxRetriesPerRequest: MOST_RETRIES,
  })
  let reason = ''
  client.on('error', (error) => (reason = messageOf(error)))
  try {
    await client.connect()
    await client.ping()
  } catch (error) {
    client.disconnect()
    const { host, port } = client.options
    throw new UsageError(
      `Expected Redis at ${host}:${port}: ${reason || messageOf(error)}. Start one, or check the address.`,
    )
  }
  const queue = new bullmq.Queue<LineData>(QUEUE, { connection: client, prefix: PREFIX })
  queue.on('error', () => undefined)
  return new RedisStore(client, queue, bullmq.Worker)
}

class RedisStore implements BatchStore {
  readonly #client: Redis
  readonly #queue: Queue<LineData>
  readonly #Worker: typeof Worker
  #worker: { readonly own: Worker<LineData>; readonly client: Redis } | undefined
  /** What this process has taken, by its id. */
  readonly #jobs = new Map<string, Job<LineData>>()

  constructor(client: Redis, queue: Queue<LineData>, worker: typeof Worker) {
    this.#client = client
    this.#queue = queue
    this.#Worker = worker
  }

  /** A command that is given up here may still be done when Redis is back: this one does nothing. */
  async ready(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const tooLong = new Promise<never>((_, reject) => {
      const give = () => reject(new BatchStoreError(`Redis said nothing for ${READY_MS} ms.`))
      timer = setTimeout(give, READY_MS)
    })
    const pong = this.#client.ping()
    pong.catch(() => undefined)
    await Promise.race([pong, tooLong]).finally(() => clearTimeout(timer))
  }

  async addFile(
    owner: string,
    file: Omit<StoredFile, 'bytes'>,
    content: Uint8Array,
  ): Promise<StoredFile> {
    const stored = { ...file, bytes: content.byteLength }
    const fields = { owner, meta: JSON.stringify(stored), content: Buffer.from(content) }
    await this.#client.hset(fileKey(file.id), fields)
    await this.#client.zadd(filesKey(owner), file.createdAt, file.id)
    return stored
  }

  async file(owner: string, id: string): Promise<StoredFile | undefined> {
    const [whose, meta] = await this.#client.hmget(fileKey(id), 'owner', 'meta')
    return whose === owner && typeof meta === 'string' ? JSON.parse(meta) : undefined
  }

  async files(owner: string): Promise<readonly StoredFile[]> {
    const ids = await this.#client.zrevrange(filesKey(owner), 0, 9999)
    return present(await Promise.all(ids.map((id) => this.file(owner, id))))
  }

  async content(owner: string, id: string): Promise<Uint8Array | undefined> {
    if ((await this.file(owner, id)) === undefined) return undefined
    return (await this.#client.hgetBuffer(fileKey(id), 'content')) ?? undefined
  }

  async removeFile(owner: string, id: string): Promise<boolean> {
    if ((await this.file(owner, id)) === undefined) return false
    await this.#client.zrem(filesKey(owner), id)
    return (await this.#client.del(fileKey(id))) > 0
  }

  async addBatch(batch: Omit<Batch, 'counts'>, lines: readonly NewLine[]): Promise<void> {
    const { id, owner, status } = batch
    for (let from = 0; from < lines.length; from += CHUNK) {
      const part = lines.slice(from, from + CHUNK)
      const entries = part.map((line, i) => [String(from + i + 1), JSON.stringify(line)])
      await this.#client.hset(requestsKey(id), Object.fromEntries(entries))
    }
    const place = await this.#client.incr(ORDER)
    const isOpen = status === 'in_progress'
    const fields = { ...rowOf(batch), total: lines.length, completed: 0, failed: 0, queued: 0 }
    const all = this.#client.multi().hset(batchKey(id), fields).zadd(batchesKey(owner), place, id)
    await (isOpen ? all.sadd(OPEN, id) : all).exec()
    // A process that ends between the two, or loses Redis there, has left a batch that is queued later.
    if (isOpen) await this.#enqueue(id, lines.length).catch(() => undefined)
  }

  async #enqueue(batch: string, count: number): Promise<void> {
    for (let from = 1; from <= count; from += CHUNK) {
      const numbers = Array.from({ length: Math.min(CHUNK, count + 1 - from) }, (_, i) => from + i)
      const jobs = numbers.map((number) => ({
        name: 'line',
        data: { batch, number },
        // A line that is there already is not added again.
        opts: { jobId: jobId(batch, number), removeOnComplete: true, removeOnFail: GIVEN_UP },
      }))
      await this.#queue.addBulk(jobs)
    }
    await this.#client.hset(batchKey(batch), 'queued', 1)
  }

  async batch(owner: string, id: string): Promise<Batch | undefined> {
    const batch = batchOf(await this.#client.hgetall(batchKey(id)))
    return batch?.owner === owner ? batch : undefined
  }

  async batches(owner: string, limit: number, after?: string): Promise<readonly Batch[]> {
    const key = batchesKey(owner)
    const rank = after === undefined ? -1 : await this.#client.zrevrank(key, after)
    const from = (rank ?? -1) + 1
    const ids = await this.#client.zrevrange(key, from, from + limit - 1)
    return present(await Promise.all(ids.map((id) => this.batch(owner, id))))
  }

  async cancel(owner: string, id: string): Promise<Batch | undefined> {
    if ((await this.batch(owner, id)) === undefined) return undefined
    await this.#client.eval(CANCEL, 1, batchKey(id), createdNow())
    return this.batch(owner, id)
  }

  async results(owner: string, id: string, kind: ResultKind): Promise<Uint8Array | undefined> {
    return (await this.batch(owner, id)) && (await this.#results(id))[kind]
  }

  async #results(batch: string): Promise<Record<ResultKind, Buffer | undefined>> {
    const all = Object.entries(await this.#client.hgetall(resultsKey(batch)))
    all.sort(([a], [b]) => Number(a) - Number(b))
    const contentOf = (mark: string) => {
      const lines = all.flatMap(([, text]) => (text.startsWith(mark) ? `${text.slice(1)}\n` : []))
      return lines.length === 0 ? undefined : Buffer.from(lines.join(''))
    }
    return { output: contentOf('0'), error: contentOf('1') }
  }

  async take(worker: string, count: number, leaseSeconds: number): Promise<readonly TakenLine[]> {
    const own = await this.#workerOf(leaseSeconds)
    const lines: TakenLine[] = []
    while (lines.length < count) {
      const job: Job<LineData> | undefined = await own.getNextJob(worker, { block: false })
      if (job === undefined) break
      const line = await this.#lineOf(job)
      // What has a result is done: whoever wrote it was lost before it could say so.
      if (line === undefined) await job.moveToCompleted(null, worker, false)
      else {
        this.#jobs.set(jobId(line.batch, line.number), job)
        lines.push(line)
      }
    }
    return lines
  }

  async #workerOf(leaseSeconds: number): Promise<Worker<LineData>> {
    if (this.#worker !== undefined) return this.#worker.own
    const client = this.#client.duplicate({ maxRetriesPerRequest: null, lazyConnect: false })
    client.on('error', () => undefined)
    const own = new this.#Worker<LineData>(QUEUE, null, {
      connection: client,
      prefix: PREFIX,
      autorun: false,
      lockDuration: leaseSeconds * 1000,
      stalledInterval: LOOK_MS,
      // How often a line may be lost is for whoever works on it to say.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    })
    own.on('error', () => undefined)
    this.#worker = { own, client }
    try {
      await own.waitUntilReady()
      await own.startStalledCheckTimer()
    } catch (error) {
      this.#worker = undefined
      client.disconnect()
      throw error
    }
    return own
  }

  async #lineOf({ data, attemptsStarted }: Job<LineData>): Promise<TakenLine | undefined> {
    const { batch, number } = data
    const [row, request, isDone] = await Promise.all([
      this.#client.hgetall(batchKey(batch)),
      this.#client.hget(requestsKey(batch), String(number)),
      this.#client.hexists(resultsKey(batch), String(number)),
    ])
    const known = batchOf(row)
    if (known?.status !== 'in_progress' || typeof request !== 'string' || isDone === 1) return
    const { owner, endpoint } = known
    return { ...JSON.parse(request), batch, number, owner, endpoint, tries: attemptsStarted }
  }

  async renew(worker: string, leaseSeconds: number): Promise<void> {
    const ids = [...this.#jobs.keys()]
    const tokens = ids.map(() => worker)
    if (ids.length > 0) await this.#worker?.own.extendJobLocks(ids, tokens, leaseSeconds * 1000)
  }

  async settle(line: TakenLine, result: LineResult): Promise<boolean> {
    const isFirst = await this.#write(line, result)
    const job = this.#jobs.get(jobId(line.batch, line.number))
    this.#jobs.delete(jobId(line.batch, line.number))
    const token = job?.token ?? ''
    const { isError, text } = result
    const reason = new Error(text.slice(0, 1000))
    const isOver = isError
      ? job?.moveToFailed(reason, token)
      : job?.moveToCompleted(null, token, false)
    // It is written. A job that is not this worker's any more is dropped by whoever takes it.
    await isOver?.catch(() => undefined)
    return isFirst
  }

  async #write({ batch, number }: LineData, { isError, text }: LineResult): Promise<boolean> {
    const [mark, counted] = isError ? ['1', 'failed'] : ['0', 'completed']
    const keys = [batchKey(batch), resultsKey(batch)]
    return (await this.#client.eval(SETTLE, 2, ...keys, number, mark + text, counted)) === 1
  }

  async postpone({ batch, number }: TakenLine, seconds: number): Promise<void> {
    const job = this.#jobs.get(jobId(batch, number))
    this.#jobs.delete(jobId(batch, number))
    if (seconds > 0) await job?.moveToDelayed(Date.now() + seconds * 1000, job.token)
    else await job?.moveToWait(job.token)
  }

  async finish(): Promise<number> {
    let waiting = 0
    for (const id of await this.#client.smembers(OPEN)) {
      const row = await this.#client.hgetall(batchKey(id))
      const batch = batchOf(row)
      if (batch === undefined) continue
      const { total, completed, failed } = batch.counts
      const left = total - completed - failed
      const ending = endingOf(batch, left, createdNow())
      if (ending === undefined) {
        waiting += left
        const isLate = createdNow() - batch.createdAt > QUEUED_WITHIN
        if (row.queued === '0' && isLate) await this.#enqueue(id, total)
        continue
      }
      if (left > 0) await this.#settleRest(batch, (line) => unbegunLine(line, ending))
      await this.#end(batch, ending.status)
    }
    return waiting
  }

  /** Gives a result to every line that has none, and takes it out of the queue. */
  async #settleRest(
    { id: batch }: Batch,
    resultOf: (line: LineData & NewLine) => LineResult,
  ): Promise<void> {
    const done = new Set(await this.#client.hkeys(resultsKey(batch)))
    const requests = Object.entries(await this.#client.hgetall(requestsKey(batch)))
    const open = requests.filter(([number]) => !done.has(number))
    for (let from = 0; from < open.length; from += CHUNK) {
      const part = open.slice(from, from + CHUNK)
      const lines = part.map(([number, text]) => ({ ...JSON.parse(text), number: Number(number) }))
      const settled = lines.map((line) =>
        this.#write({ ...line, batch }, resultOf({ ...line, batch })),
      )
      await Promise.all(settled)
      // Those that are worked on cannot be removed: they are dropped at their end.
      await Promise.allSettled(lines.map(({ number }) => this.#queue.remove(jobId(batch, number))))
    }
  }

  /** All lines have results, which do not change until the batch has ended: several may do this at once. */
  async #end({ id, owner }: Batch, status: string): Promise<void> {
    const results = await this.#results(id)
    const fields: (string | number)[] = ['status', status, 'endedAt', createdNow()]
    for (const kind of RESULT_KINDS) {
      const content = results[kind]
      if (content === undefined) continue
      const file = resultFile(id, kind, createdNow())
      await this.addFile(owner, file, content)
      fields.push(`${kind}File`, file.id)
    }
    const keys = [batchKey(id), OPEN, resultsKey(id), requestsKey(id)]
    await this.#client.eval(END, keys.length, ...keys, id, ...fields)
  }

  async close(): Promise<void> {
    const clients = [this.#client, ...(this.#worker ? [this.#worker.client] : [])]
    const closing = Promise.allSettled([this.#worker?.own.close(true), this.#queue.close()])
    // A Redis that does not answer keeps nobody.
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    for (const client of clients) client.disconnect()
    await closing
  }
}

const batchKey = (id: string) => `${PREFIX}:batch:${id}`
const batchesKey = (owner: string) => `${PREFIX}:batches:${owner}`
const fileKey = (id: string) => `${PREFIX}:file:${id}`
const filesKey = (owner: string) => `${PREFIX}:files:${owner}`
const requestsKey = (batch: string) => `${PREFIX}:requests:${batch}`
const resultsKey = (batch: string) => `${PREFIX}:results:${batch}`
const jobId = (batch: string, number: number) => `${batch}.${number}`

function present<T>(values: readonly (T | undefined)[]): readonly T[] {
  return values.filter((value) => value !== undefined)
}
