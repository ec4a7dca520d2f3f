/**
 * The frame of all commands, in this process: help at every width, the version, and one form of errors.
 */
import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { mockSurroundings } from '../../test/support/mock-language-model.ts'
import { flush, keepErrors } from './console/terminal.ts'
import { formatExamples } from './define-command.ts'
import { runCli } from './program.ts'

const COMMANDS = [
  ...['generate', 'run', 'chat', 'bench', 'compare', 'train', 'embed', 'eval'],
  ...[
    'serve',
    'worker',
    'batch',
    'perplexity',
    'inspect',
    'pull',
    'models',
    'cache',
    'doctor',
    'convert',
    'export',
    'tokenizer',
    'completion',
  ],
]

async function outputOf(args: readonly string[], columns: number): Promise<string[]> {
  const mock = mockSurroundings({ env: { COLUMNS: String(columns) } })
  expect(await runCli(args, mock)).toBe(0)
  return mock.out().split('\n')
}

/** Columns of a terminal; characters of Japanese take two. */
function widthOf(line: string): number {
  return [...line].length + (line.match(/[\u3040-\u30ff\u4e00-\u9fff、]/g)?.length ?? 0)
}

describe.each([40, 80])('help at %i columns', (columns) => {
  test.each([[[]], ...COMMANDS.map((name) => [[name]])])('fits: %j', async (command) => {
    const lines = await outputOf([...command, '--help'], columns)
    // A word alone, such as an address, is not cut, and neither is what is typed after "Usage".
    const tooWide = lines.filter(
      (line) =>
        widthOf(line) > columns && /\S +\S/.test(line.replace(/ \\$|^Usage: .*|^ +-\S.*/, '')),
    )
    expect(tooWide).toEqual([])
  })
})

test('help is no failure for a reader who has seen enough', async () => {
  let writes = 0
  const stdout = new Writable({
    write(_chunk, _encoding, done) {
      writes++
      done(writes === 1 ? null : Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    },
  })
  keepErrors(stdout)
  expect(await runCli(['--help'], { ...mockSurroundings(), stdout })).toBe(0)
  await flush(stdout)
  expect(writes).toBeGreaterThan(1)
})

test('flags that take a value say what counts without them', async () => {
  const help = (await outputOf(['generate', '--help'], 200)).join('\n')
  // What is given or not at all has no default.
  const plain = /--(prompt|file|system-file|messages|batch|logprobs|draft|tools) /
  const flags = help.match(/^ +-.* <.*> .*$/gm) ?? []
  expect(flags.length).toBeGreaterThan(15)
  expect(flags.filter((line) => !plain.test(line) && !line.includes('(default: '))).toEqual([])
})

test('an example that is too long is cut where a shell takes it up again', () => {
  const text = '  $ bitnet generate "a b c" --stop "." --seed 1      a comment'
  expect(formatExamples(text, 80)).toBe(text)
  expect(formatExamples(text, 34).split('\n')).toEqual([
    '  $ bitnet generate "a b c" \\',
    '      --stop "." --seed 1',
    '      a comment',
  ])
})

test('--version has the version alone on its first line, then Node and the kernels', async () => {
  const [version, ...facts] = await outputOf(['--version'], 80)
  expect(version).toMatch(/^\d+\.\d+\.\d+$/)
  expect(facts.join('\n')).toContain(process.version)
  expect(facts.join('\n')).toMatch(/^wasm +wasm-simd|^wasm .*wasm-relaxed-simd/m)
})

test.each([
  [['generate', '--frob']],
  [['frobnicate']],
  [['generate', 'a', 'b']],
  [['generate', '-n', 'x', 'a']],
  [['generate', '--batch', 'nowhere.txt']],
  [['perplexity', 'nowhere.txt']],
  [['generate', 'a', '--messages', '[]']],
  [['generate', 'a', '-f', 'b']],
  [['generate', 'a\ufffdb']],
])('%j: exit 2, and the one prefix of all errors', async (args) => {
  const mock = mockSurroundings()
  expect(await runCli(args, mock)).toBe(2)
  expect(mock.err()).toMatch(/^bitnet: \S/)
  expect(mock.err()).not.toMatch(/error:/)
  expect(mock.out()).toBe('')
})
