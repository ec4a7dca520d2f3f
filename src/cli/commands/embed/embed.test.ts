/** `embed` with a model whose vectors follow the first letter of a text. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { UsageError } from '../../../errors.ts'
import { command } from './embed.ts'

test('several texts become a table of cosines, and the time goes to standard error', async () => {
  const mock = mockSurroundings()
  expect(await command.run({ prompt: ['apple', 'zebra', 'an ant'] }, mock)).toBe(0)
  const lines = mock.out().split('\n')
  expect(lines[1]).toContain('last token')
  expect(lines.find((line) => line.startsWith('1'))).toMatch(/apple +1\.000 +0\.000 +1\.000$/)
  expect(mock.err()).toMatch(/^3 texts in .* mock backend\n$/)
  expect(mock.calls.disposed).toBe(1)
})

test('--json has the vectors and says how they came about', async () => {
  const mock = mockSurroundings()
  await command.run({ prompt: ['a'], dimensions: 1, json: true }, mock)
  expect(JSON.parse(mock.out())).toMatchObject({
    dimensions: 1,
    pooling: expect.stringContaining('last token'),
    isTrainedForIt: false,
    embeddings: [{ text: 'a', vector: [1] }],
  })
})

test('a long list of lines becomes a table of the nearest', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-embed-'))
  try {
    const file = join(folder, 'lines.txt')
    const letters = [...'abcdefghijklmz']
    await writeFile(file, `${letters.join('\n')}\n\n`)
    const mock = mockSurroundings()
    await command.run({ file }, mock)
    const last = mock.out().trimEnd().split('\n').at(-1)
    expect(last).toMatch(/^14 +z +13 +m +0\.\d+$/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('a file of 150,000 lines is embedded, and a line that is too long costs itself alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-embed-'))
  try {
    const file = join(folder, 'lines.txt')
    const lines = Array.from({ length: 150_000 }, () => 'a')
    lines[1] = 'x'.repeat(200)
    await writeFile(file, lines.join('\n'))
    const mock = mockSurroundings()
    expect(await command.run({ file, json: true }, mock)).toBe(1)
    expect(JSON.parse(mock.out()).embeddings).toHaveLength(149_999)
    expect(mock.err()).toContain('bitnet: Expected line 2 to fit a context of 100 tokens, got 200.')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('nothing to embed is wrong usage', async () => {
  await expect(command.run({}, mockSurroundings())).rejects.toThrow(UsageError)
})
