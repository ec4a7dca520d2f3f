/** Journals where there is no place for one. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCacheJournal } from './journal.ts'

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'journal-'))
})
afterEach(() => rm(root, { recursive: true }))

test('a cache that cannot be written to is a reason, and no error', async () => {
  // What a disk that is read-only does cannot be had as root; a file in place of a folder does the same.
  await writeFile(join(root, 'cache'), '')
  const { journal, reason } = await openCacheJournal(
    join(root, 'cache', 'eval', 'a.jsonl'),
    'model',
  )
  expect(journal).toBeUndefined()
  expect(reason).toMatch(/ENOTDIR/)
})

test('another file in its place is an error as ever', async () => {
  await writeFile(join(root, 'a.jsonl'), 'notes\n')
  await expect(openCacheJournal(join(root, 'a.jsonl'), 'model')).rejects.toMatchObject({
    code: 'USAGE',
  })
})

test('a cache that can be written to keeps one', async () => {
  const { journal, reason } = await openCacheJournal(join(root, 'eval', 'a.jsonl'), 'model')
  expect(journal?.finished('task')).toEqual([])
  expect(reason).toBeUndefined()
})
