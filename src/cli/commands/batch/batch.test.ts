/** `batch` with a model that echoes: answers, failures, going on after a stop, and what is refused. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { hasSqlite } from '../../../../test/support/services.ts'
import { UsageError } from '../../../errors.ts'
import { runCli } from '../../program.ts'
import { run } from './batch.ts'

const isThere = await hasSqlite()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-batch-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function input(...bodies: object[]): Promise<string> {
  const path = join(folder, 'in.jsonl')
  const lines = bodies.map((body, i) =>
    JSON.stringify({ custom_id: `${i}`, method: 'POST', url: '/v1/chat/completions', body }),
  )
  await writeFile(path, lines.join('\n'))
  return path
}
const saying = (content: string) => ({ model: 'any', messages: [{ role: 'user', content }] })

describe.skipIf(!isThere)('batch (better-sqlite3 is not installed, or not built)', () => {
  test('answers a file, and says how many failed', async () => {
    const path = await input(saying('one two'), { messages: 3 }, saying('three'))
    const output = join(folder, 'out.jsonl')
    const mock = mockSurroundings()
    expect(await run.run({ output, json: true }, mock, path)).toBe(1)
    expect(JSON.parse(mock.out())).toMatchObject({
      status: 'completed',
      request_counts: { total: 3, completed: 2, failed: 1 },
    })
    const lines = (await readFile(output, 'utf8')).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).response.body.choices[0].message.content)).toEqual([
      'one two',
      'three',
    ])
    expect(await readFile(`${output}.errors`, 'utf8')).toContain('"custom_id":"1"')
    expect(mock.calls.disposed).toBe(1)
    expect(mock.err()).toContain('2 answers, 1 failure')
  })

  test('what is done is not done again', async () => {
    const path = await input(saying('one'), saying('two'))
    expect(await run.run({}, mockSurroundings(), path)).toBe(0)
    const again = mockSurroundings()
    expect(await run.run({}, again, path)).toBe(0)
    expect(again.calls.loads).toEqual([])
    expect(again.out().trim().split('\n')).toHaveLength(2)
  })

  test('Ctrl-C stops, and the same command goes on', async () => {
    const bodies = Array.from({ length: 12 }, (_, i) => saying(`${i} a b c d e f`))
    const path = await input(...bodies)
    const slow = mockSurroundings({ delay: 20 })
    const running = run.run({ parallel: 2 }, slow, path)
    await expect.poll(() => slow.calls.prompts.length).toBeGreaterThan(4)
    slow.interrupt()
    expect(await running).toBe(130)
    const rest = mockSurroundings()
    expect(await run.run({}, rest, path)).toBe(0)
    expect(rest.calls.prompts.length).toBeLessThan(12)
    expect(rest.out().trim().split('\n')).toHaveLength(12)
  })

  test('status and cancel look at the file of a queue', async () => {
    const queue = join(folder, 'queue.sqlite')
    const path = await input(saying('one'))
    await run.run({ queue }, mockSurroundings(), path)
    const shown = mockSurroundings()
    expect(await runCli(['batch', 'status', '--queue', queue, '--json'], shown)).toBe(0)
    const [{ id, status }] = JSON.parse(shown.out()).batches
    expect(status).toBe('completed')
    const cancelled = mockSurroundings()
    expect(await runCli(['batch', 'cancel', id, '--queue', queue], cancelled)).toBe(0)
    expect(cancelled.out()).toContain('completed, 1 of 1 line')
    expect(await runCli(['batch', 'cancel', 'x', '--queue', queue], mockSurroundings())).toBe(2)
  })

  test('an input in UTF-16 is read, and one in Shift_JIS refused by its name', async () => {
    const path = await input(saying('こんにちは'))
    const text = await readFile(path, 'utf8')
    await writeFile(path, Buffer.from(`\ufeff${text}`, 'utf16le'))
    const mock = mockSurroundings()
    expect(await run.run({}, mock, path)).toBe(0)
    expect(mock.out()).toContain('こんにちは')
    // こんにちは
    const word = Buffer.from([0x82, 0xb1, 0x82, 0xf1, 0x82, 0xc9, 0x82, 0xbf, 0x82, 0xcd])
    const [before, behind] = text.split('こんにちは').map((part) => Buffer.from(part))
    await writeFile(path, Buffer.concat([before, word, behind]))
    await expect(run.run({}, mockSurroundings(), path)).rejects.toThrow('Shift_JIS')
  })

  test('a place where answers cannot go is told before a model is loaded', async () => {
    const path = await input(saying('a'))
    const mock = mockSurroundings()
    expect(await runCli(['batch', 'run', path, '-o', join(path, 'out.jsonl')], mock)).toBe(1)
    expect(mock.err()).toBe(`bitnet: Cannot open ${join(path, 'out.jsonl')}: not a directory.\n`)
    expect(mock.calls.loads).toEqual([])
  })

  test('a queue that is not there is not made by looking at it', async () => {
    const queue = join(folder, 'none.queue')
    const mock = mockSurroundings()
    expect(await runCli(['batch', 'status', '--queue', queue], mock)).toBe(2)
    expect(mock.err()).toContain('there is none')
    expect(await readdir(folder)).toEqual([])
  })

  test.each([
    ['no file', async () => join(folder, 'none.jsonl'), {}],
    ['no requests', () => input(), {}],
    ['a file that is none of batches', () => input(saying('a')), { queue: 'in.jsonl' }],
    ['JSON without a place for answers', () => input(saying('a')), { json: true }],
  ])('%s is refused', async (_, path, { queue, ...flags }: { queue?: string; json?: boolean }) => {
    const given = await path()
    const all = queue === undefined ? flags : { ...flags, queue: join(folder, queue) }
    await expect(run.run(all, mockSurroundings(), given)).rejects.toThrow(UsageError)
  })
})

test.skipIf(isThere)('without better-sqlite3 it says what to install', async () => {
  const path = await input(saying('a'))
  await expect(run.run({}, mockSurroundings(), path)).rejects.toThrow('npm install better-sqlite3')
})
