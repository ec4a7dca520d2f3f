/**
 * One reader in a process of its own, so that a crash or an endless loop is its alone: says before each input
 * which one it is, and at the end what came of them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BitnetError } from '../../src/errors.ts'
import { randomFrom } from '../support/random-texts.ts'
import { damaged } from './damage.ts'
import { openReaders } from './readers.ts'

const [root, name, seed, from, milliseconds] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'bitnet-fuzz-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const reader = (await openReaders(root, folder)).find((one) => one.name === name)
if (reader === undefined) throw new Error(`There is no reader of ${name}.`)
// What is healthy must load, or nothing would be tried.
for (const bytes of reader.healthy) await reader.read(bytes)
const start = process.memoryUsage().rss
// Starting does not count.
const until = Date.now() + Number(milliseconds)
const result = {
  inputs: 0,
  loaded: 0,
  refused: 0,
  untyped: [] as string[],
  slowestMs: 0,
  memory: 0,
}
for (let i = Number(from); Date.now() < until; i++) {
  const random = randomFrom(Number(seed) * 1_000_003 + i)
  const bytes = damaged(reader.healthy[i % reader.healthy.length], random)
  process.send?.({ input: i })
  const began = performance.now()
  try {
    await reader.read(bytes)
    result.loaded++
  } catch (error) {
    if (error instanceof BitnetError) result.refused++
    else if (result.untyped.length < 3) result.untyped.push(`input ${i}: ${(error as Error).stack}`)
  }
  result.inputs++
  result.slowestMs = Math.max(result.slowestMs, performance.now() - began)
  result.memory = Math.max(result.memory, process.memoryUsage().rss - start - bytes.length)
  process.send?.({ result })
  // Room for messages and for promises that nobody awaits.
  await new Promise((resolve) => setImmediate(resolve))
}
process.disconnect?.()
process.exit(0)
