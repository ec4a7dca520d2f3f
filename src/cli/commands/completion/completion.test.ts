/**
 * The scripts of `bitnet completion`, read by the shells themselves.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { runCli } from '../../program.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-completion-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function has(shell: string): boolean {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0
}

async function scriptFor(shell: string): Promise<string> {
  const mock = mockSurroundings()
  expect(await runCli(['completion', shell], mock)).toBe(0)
  expect(mock.err()).toBe('')
  const path = join(folder, shell)
  writeFileSync(path, mock.out())
  return path
}

describe.skipIf(!has('bash'))('bash', () => {
  let script = ''
  beforeAll(async () => {
    script = await scriptFor('bash')
    writeFileSync(join(folder, 'model file.gguf'), '')
  })

  /** What bash offers for the last word. */
  function offered(...words: string[]): string[] {
    const quoted = words.map((word) => `'${word}'`).join(' ')
    const run = `source '${script}'; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _bitnet
      printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', run], { cwd: folder, encoding: 'utf8' })
    expect(stderr).toBe('')
    return stdout.split('\n').filter((line) => line !== '')
  }

  test.each([
    [['bitnet', 'gen'], ['generate']],
    [
      ['bitnet', 'cache', ''],
      ['list', 'rm', 'verify'],
    ],
    [['bitnet', 'cache', 'rm', '--im'], ['--images']],
    [['bitnet', 'generate', '--temp'], ['--temperature']],
    [
      ['bitnet', 'generate', '-n', '5', '--kv', 'in'],
      ['int8', 'int4'],
    ],
    [
      ['bitnet', 'chat', '--lang', ''],
      ['en', 'ja'],
    ],
    [['bitnet', 'generate', '--top-k', ''], []],
    [['bitnet', 'run', 'bitnet-2'], ['bitnet-2b']],
    [['bitnet', 'generate', '-m', 'mod'], ['model file.gguf']],
    [['bitnet', 'bench', '--energy', 'c'], ['cpu']],
    [['bitnet', 'completion', 'z'], ['zsh']],
    [['bitnet', '--v'], ['--version']],
  ])('completes %j', (words, expected) => expect(offered(...words)).toEqual(expected))
})

describe.skipIf(!has('fish'))('fish', () => {
  test('completes commands, flags and values', async () => {
    const script = await scriptFor('fish')
    const lines = [
      'bitnet gen',
      'bitnet cache ver',
      'bitnet generate --tempe',
      'bitnet chat --kv int8',
    ]
    const run = `source '${script}'; ${lines.map((line) => `complete -C '${line}'`).join('; ')}`
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', run], { encoding: 'utf8' })
    expect(stderr).toBe('')
    const words = stdout.split('\n').map((line) => line.split('\t')[0])
    expect(words).toEqual(['generate', 'verify', '--temperature', 'int8', ''])
  })
})

describe.skipIf(!has('zsh'))('zsh', () => {
  test('completes commands, flags and values on a terminal', async () => {
    const script = await scriptFor('zsh')
    const keys = join(folder, 'keys.zsh')
    // A pseudo-terminal of its own: each line is typed and completed, and printed in place of being run.
    writeFileSync(
      keys,
      `zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z 'autoload -U compinit; compinit -u -D; source $SCRIPT; PS1=
        bitnet() { print -r -- "RAN-$*-END" }; print READY-$((1 + 1))'
      zpty -r z out '*READY-2*'
      for line in 'cache ver' 'doctor --js' 'perplexity --wind' 'chat --kv f3'; do
        zpty -w -n z "bitnet $line"$'\\t\\n'
        zpty -r z out '*RAN-*-END*'
        print -r -- "\${\${out##*RAN-}%%-END*}"
      done
      zpty -d z`,
    )
    const env = { ...process.env, SCRIPT: script }
    const { stdout } = spawnSync('zsh', ['-f', keys], { env, encoding: 'utf8', timeout: 60_000 })
    expect(stdout.split(/\s*\n/).filter((line) => line !== '')).toEqual([
      'cache verify',
      'doctor --json',
      'perplexity --window',
      'chat --kv f32',
    ])
  })
})

test('another shell is refused with those that there are', async () => {
  const mock = mockSurroundings()
  expect(await runCli(['completion', 'tcsh'], mock)).toBe(2)
  expect(mock.err()).toMatch(/^bitnet: .*'tcsh' is invalid.*bash, zsh, fish/)
})
