/** A run's page from the command line: while a run trains, when it is over, and at what is none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram, startBitnet } from './support/built-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-watch-cli-'))
const text = join(folder, 'text.txt')
const run = join(folder, 'run')

beforeAll(async () => {
  const lines = Array.from({ length: 400 }, (_, i) => `The cat is in house ${i % 7}.\n`)
  writeFileSync(text, lines.join(''))
  await buildProgram()
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The log's events as the page gets them, until `isLast` holds of one. */
async function eventsUntil(url: string, isLast: (event: { step: number }) => boolean) {
  const controller = new AbortController()
  const { body } = await fetch(`${url}/events`, { signal: controller.signal })
  const events: { type: string; step: number }[] = []
  let rest = ''
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const piece = (await reader?.read())?.value
    if (piece === undefined) break
    const blocks = (rest + piece).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const data = /^data: (\[.*\])$/m.exec(block)?.[1]
      if (data !== undefined) events.push(...JSON.parse(data))
    }
    if (events.some(isLast)) break
  }
  controller.abort()
  return events
}

test('train --watch tells where the page is, which has the run as it goes on', async () => {
  const args = [
    'train',
    '--data',
    text,
    '--out',
    run,
    '--steps',
    '60',
    '--length',
    '32',
    '--batch',
    '4',
  ]
  const { child, outcome } = startBitnet([...args, '--sample-prompts', 'The cat', '--watch', '0'])
  let said = ''
  const url = await new Promise<string>((resolve) => {
    child.stderr?.on('data', (piece) => {
      said += piece
      const found = /Curves: (http:\S+)/.exec(said)
      if (found) resolve(found[1])
    })
  })
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(await (await fetch(url)).text()).toContain('uplot.js')
  const events = await eventsUntil(url, ({ step }) => step === 20)
  expect(events[0]).toMatchObject({ type: 'start', step: 0, steps: 60 })
  expect((await outcome).code).toBe(0)
  expect(readFileSync(join(run, 'curves.svg'), 'utf8')).toContain('60 of 60 steps.')
  // Nobody listens there any more.
  await expect(fetch(url)).rejects.toThrow()
}, 60_000)

test('watch shows a run that is over, and ends with Ctrl-C', async () => {
  const { child, outcome, waitFor } = startBitnet(['watch', run, '--port', '0', '--json'])
  let out = ''
  child.stdout?.on('data', (piece) => {
    out += piece
  })
  await waitFor('}')
  const { url } = JSON.parse(out)
  const events = await eventsUntil(url, ({ step }) => step === 60)
  expect(events.filter(({ type }) => type === 'step')).toHaveLength(60)
  expect(events.filter(({ type }) => type === 'sample').length).toBeGreaterThan(0)
  child.kill('SIGINT')
  expect((await outcome).code).toBe(0)
}, 60_000)

test('a folder that is not there, a file and a port that is taken are refused with what to do', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number }
  for (const [args, expected] of [
    [[join(folder, 'none')], /Expected the folder of a run .*got nothing/],
    [[text], /Expected the folder of a run .*got the file/],
    [[run, '--port', String(port)], /Expected to listen .*--port/],
  ] as const) {
    const { code, err } = await startBitnet(['watch', ...args]).outcome
    expect(code).toBe(2)
    expect(err.replaceAll('\n', ' ')).toMatch(expected)
  }
  taken.close()
}, 60_000)
