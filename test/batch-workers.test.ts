/**
 * A batch over four `bitnet worker` of the embedded model, of which one is killed every few seconds, in a Redis that
 * is killed once: each line has one result. `npm run batch-workers` does this with 10,000 lines.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  bitnet,
  buildProgram,
  hasEmbeddedModel,
  type Started,
  startBitnet,
} from './support/built-program.ts'
import { hasRedis, startRedis } from './support/redis.ts'

const LINES = Number(process.env['BATCH_LINES'] ?? 800)
const WORKERS = 4
const KILL_MS = Number(process.env['BATCH_KILL_SECONDS'] ?? 1) * 1000
const PATIENCE_MS = 120_000 + LINES * 200

const reason = hasRedis ? 'there is no embedded model' : 'there is no redis-server'

test.skipIf(!hasRedis || !hasEmbeddedModel())(
  `lost workers and a lost Redis leave each line with one result (${reason})`,
  async () => {
    await buildProgram()
    const folder = await mkdtemp(join(tmpdir(), 'bitnet-workers-'))
    const redis = await startRedis()
    const queue = ['--queue', redis.url]
    const begin = () =>
      startBitnet(['worker', ...queue, '--threads', '1', '--parallel', '8', '--lease', '2'])
    const workers: Started[] = []
    try {
      const input = join(folder, 'in.jsonl')
      await writeFile(input, Array.from({ length: LINES }, (_, i) => lineOf(i)).join('\n'))
      const entered = await bitnet(['batch', 'run', input, ...queue, '--detach', '--json'])
      expect(entered.err).toBe('')
      const { id } = JSON.parse(entered.out)
      const asked = async (more: readonly string[] = []) => {
        const { out } = await bitnet(['batch', 'status', id, ...queue, '--json', ...more])
        return out === '' ? undefined : JSON.parse(out).batches[0]
      }
      workers.push(...Array.from({ length: WORKERS }, begin))
      const beganAt = performance.now()
      let kills = 0
      let isRedisLost = false
      let batch = await asked()
      while (batch?.status !== 'completed' && performance.now() - beganAt < PATIENCE_MS) {
        await sleep(KILL_MS)
        batch = (await asked()) ?? batch
        const done = batch.request_counts.completed
        if (done > LINES / 3 && !isRedisLost) {
          isRedisLost = true
          await redis.kill()
          await redis.revive()
        }
        // Some get as far as to work before they are lost.
        if (done === LINES) continue
        const [lost] = workers.splice(0, 1)
        lost.child.kill('SIGKILL')
        workers.push(begin())
        kills++
      }
      const seconds = ((performance.now() - beganAt) / 1000).toFixed(0)
      const output = join(folder, 'out.jsonl')
      expect(await asked(['-o', output])).toMatchObject({
        status: 'completed',
        request_counts: { total: LINES, completed: LINES, failed: 0 },
      })
      expect([isRedisLost, kills > 0]).toEqual([true, true])
      const answers = (await readFile(output, 'utf8')).trim().split('\n')
      const ids = answers.map((line) => JSON.parse(line).custom_id)
      expect(ids).toEqual(Array.from({ length: LINES }, (_, i) => `line ${i}`))
      console.log(`${LINES} lines in ${seconds} s, ${kills} workers killed, Redis killed once`)
    } finally {
      for (const { child } of workers) child.kill('SIGKILL')
      await Promise.all(workers.map(({ outcome }) => outcome))
      await redis.stop()
      await rm(folder, { recursive: true, force: true })
    }
  },
  PATIENCE_MS + 60_000,
)

function lineOf(i: number): string {
  const body = { messages: [{ role: 'user', content: `${i} + ${i}` }], max_tokens: 2 }
  return JSON.stringify({
    custom_id: `line ${i}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body,
  })
}
