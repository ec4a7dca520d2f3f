/**
 * What the program does when what it writes is not taken, and when what it reads is not text.
 */
import { type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bitnet, buildProgram, hasEmbeddedModel, ROOT } from './support/built-program.ts'

const MAIN = join(ROOT, 'dist', 'cli', 'main.js')
/** A device on which every write fails as on a full disk. */
const FULL = '/dev/full'

let folder: string
beforeAll(async () => {
  await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'bitnet-cli-output-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Exit code and standard error of `bitnet args`, whose standard output is a place of our choosing. */
async function runInto(stdout: number | 'gone', args: readonly string[]) {
  const stdio: SpawnOptions['stdio'] = ['ignore', stdout === 'gone' ? 'pipe' : stdout, 'pipe']
  const child = spawn(process.execPath, [MAIN, ...args], { stdio })
  child.stdout?.destroy()
  let err = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const [code] = await once(child, 'close')
  return { code, err }
}

describe.skipIf(!existsSync(FULL))('a full disk', () => {
  test.each([
    [['models']],
    [['models', '--json']],
    [['--help']],
    ...(hasEmbeddedModel() ? [[['generate', '-p', 'The', '-n', '2']]] : []),
  ])('gives %j one sentence and exit code 1', async (args) => {
    const full = openSync(FULL, 'w')
    try {
      const { code, err } = await runInto(full, args)
      expect(err).toBe('bitnet: Cannot write standard output: no space left on device.\n')
      expect(code).toBe(1)
    } finally {
      closeSync(full)
    }
  })
})

test.each([[['models']], [['models', '--json']]])(
  'a pipe that nobody reads gives %j one sentence and exit code 1',
  async (args) => {
    const { code, err } = await runInto('gone', args)
    expect(err).toBe('bitnet: Cannot write standard output: its reader is gone.\n')
    expect(code).toBe(1)
  },
)

describe.skipIf(!hasEmbeddedModel())('files', () => {
  test('that cannot be written are named, with the reason', async () => {
    const path = join(folder, 'no-such-folder', 'samples.jsonl')
    const { code, err } = await bitnet(['eval', '--tasks', 'boolq', '--samples', path])
    expect(err).toBe(`bitnet: Cannot open ${path}: no such file or directory.\n`)
    expect(code).toBe(1)
  })

  test.each([
    ['perplexity', (path: string) => ['perplexity', path]],
    ['a batch', (path: string) => ['generate', '--batch', path, '-n', '1']],
    ['messages', (path: string) => ['generate', '--messages', path, '-n', '1']],
    ['texts to embed', (path: string) => ['embed', '--file', path]],
  ])('in Shift_JIS are refused by name: %s', async (_, args) => {
    const path = join(folder, 'shift-jis.txt')
    await writeFile(path, Buffer.from([0x82, 0xb1, 0x82, 0xf1, 0x82, 0xc9, 0x82, 0xbf, 0x0a]))
    const { code, out, err } = await bitnet(args(path))
    expect(err).toMatch(
      /^bitnet: Expected UTF-8 in .*shift-jis\.txt, got what seems to be Shift_JIS/,
    )
    expect(code).toBe(1)
    expect(out).toBe('')
  })
})
