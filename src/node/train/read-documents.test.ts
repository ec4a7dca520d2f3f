/** Files and folders of texts, and where texts without separators are cut. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { textsOf } from '../../train/data/documents.ts'
import { readDocuments, textFiles } from './read-documents.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-documents-'))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function textsIn(path: string): Promise<string[]> {
  const texts: string[] = []
  for (const file of await textFiles(path)) {
    for await (const document of readDocuments(file)) texts.push(...textsOf(document))
  }
  return texts
}

test('of a folder all texts are read, by their names', async () => {
  const texts = join(folder, 'texts')
  mkdirSync(join(texts, 'b'), { recursive: true })
  writeFileSync(join(texts, 'c.txt'), 'third')
  writeFileSync(join(texts, 'a.txt.gz'), gzipSync('first'))
  writeFileSync(join(texts, 'b', 'd.jsonl'), '{"text":"second"}\n')
  writeFileSync(join(texts, 'picture.png'), 'no text')
  expect(await textsIn(texts)).toEqual(['first', 'second', 'third'])
})

test('a long text is cut behind lines, and alike however its bytes come in', async () => {
  const line = `${'猫は𠮷野家へ行く。'.repeat(40)}\n`
  const long = line.repeat(6000)
  const text = `short<|endoftext|>${long}<|endoftext|>${'𠮷'.repeat(1_200_000)}`
  const [plain, packed] = [join(folder, 'long.txt'), join(folder, 'long.txt.gz')]
  writeFileSync(plain, text)
  writeFileSync(packed, gzipSync(text))
  const cut = await textsIn(plain)
  expect(cut.map(({ length }) => length)).toEqual((await textsIn(packed)).map((own) => own.length))
  expect(cut.join('')).toBe(text.replaceAll('<|endoftext|>', ''))
  expect(cut.every((own) => own.isWellFormed() && own.length <= 1 << 20)).toBe(true)
  expect(cut.slice(1, 3).every((own) => own.endsWith('\n'))).toBe(true)
})
