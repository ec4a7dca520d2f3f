/** Ctrl-C ends every command that takes long, while it loads and while it works, and leaves nothing half written. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildProgram, hasEmbeddedModel, startBitnet, untilBusy } from './support/built-program.ts'

/** A second is promised; a machine with much to do may take some. None of these ends by itself so soon. */
const WITHIN_MS = 15_000

const folder = mkdtempSync(join(tmpdir(), 'bitnet-interrupts-'))
const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const sentence = 'The old man went down to the sea, and 昔々あるところに、おじいさんがいました。\n'
const long = put('long.txt', sentence.repeat(120_000))
const lines = put('lines.txt', sentence.repeat(4000))
const item = { query: `Question: ${sentence}`, choices: ['yes', 'no', 'perhaps'], gold: 1 }
put('arc_easy.jsonl', `${JSON.stringify(item)}\n`.repeat(3000))

const COMMANDS = [
  ['generate', '-p', 'Once', '-n', '2000', '--temperature', '0', '--repetition-penalty', '1'],
  ['generate', '--file', long, '-n', '8'],
  ['generate', '--batch', lines, '-n', '32', '--json'],
  ['embed', '--file', lines, '--json'],
  ['perplexity', long, '--json'],
  ['eval', '--tasks', 'arc_easy', '--data-dir', folder, '--json'],
  ['train', '--data', long, '--out', join(folder, 'run'), '--steps', '100000'],
  ['bench', '--runs', '100'],
  ['compare', '--json'],
  ['generate', '--backend', 'reference', '-p', 'Once', '-n', '2000'],
]

beforeAll(buildProgram, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(!hasEmbeddedModel())('Ctrl-C', () => {
  test.each(
    COMMANDS.flatMap((args) => [
      { name: args.join(' ').replaceAll(folder, ''), when: 'early', hundredths: 40, args },
      { name: args.join(' ').replaceAll(folder, ''), when: 'at work', hundredths: 200, args },
    ]),
  )(
    'ends bitnet $name $when',
    async ({ args, hundredths }) => {
      const env = { BITNET_CACHE: join(folder, 'cache') }
      const { child, outcome } = startBitnet(args, { env })
      await untilBusy(child, hundredths)
      child.kill('SIGINT')
      const late = new Promise<'late'>((resolve) => setTimeout(resolve, WITHIN_MS, 'late').unref())
      const ended = await Promise.race([outcome, late])
      if (ended === 'late') child.kill('SIGKILL')
      expect(ended).not.toBe('late')
      const { code, signal, err, out } = await outcome
      expect(signal === 'SIGINT' ? 130 : code, `${err}${out.slice(0, 200)}`).toBe(130)
      expect(err).not.toMatch(/unexpected error|^ {4}at /m)
    },
    60_000,
  )

  test('leaves no file behind that is not whole', () => {
    const left = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    expect(left.filter((name) => /\.part(ial)?$/.test(name))).toEqual([])
  })
})
