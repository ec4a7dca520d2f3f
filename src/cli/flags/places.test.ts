import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import { mockSurroundings } from '../../../test/support/mock-language-model.ts'
import { runCli } from '../program.ts'
import { withPlaces } from './places.ts'

test('"~" is the home folder where a value is a place, and itself everywhere else', () => {
  const home = (...names: string[]) => join(homedir(), ...names)
  const command = new Command()
    .exitOverride()
    .argument('<source>')
    .argument('[models...]')
    .option('-o, --output <file>')
    .option('--data <paths...>')
    .option('--data-dir <folder>')
    .option('--tools <json|file>')
    .option('-p, --prompt <text>')
    .option('--json')
  let got: unknown
  command.action((source, models, flags, self) => {
    got = withPlaces(self, [source, models], flags)
  })
  const given = ['~/a.gguf', '~', '~x/b', '--output=~/out.txt', '--data-dir=~\\sets', '--json']
  const more = ['--tools', '[{"~/": 1}]', '--prompt', '~/c', '--data', '~/d=2', 'e/~/f']
  command.parse([...given, ...more], { from: 'user' })
  expect(got).toEqual([
    [home('a.gguf'), [home(), '~x/b']],
    {
      output: home('out.txt'),
      dataDir: join(homedir(), '\\sets'),
      json: true,
      tools: '[{"~/": 1}]',
      prompt: '~/c',
      data: [home('d=2'), 'e/~/f'],
    },
  ])
})

test('in the file of a training, too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'places-'))
  const config = join(folder, 'train.json')
  await writeFile(config, JSON.stringify({ data: ['~/no-such-text=2'], out: 'x' }))
  const mock = mockSurroundings()
  expect(await runCli(['train', '--config', config], mock)).toBe(2)
  await rm(folder, { recursive: true })
  expect(mock.err()).toContain(join(homedir(), 'no-such-text'))
})

test('the tokenizer of a training is a place, too', async () => {
  const mock = mockSurroundings()
  const texts = [
    '--data',
    import.meta.filename,
    '--out',
    'x',
    '--tokenizer',
    '~/no-such-folder/tokenizer.json',
  ]
  expect(await runCli(['train', ...texts], mock)).toBe(2)
  expect(mock.err()).toContain(join(homedir(), 'no-such-folder'))
})
