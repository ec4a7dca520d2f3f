import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { UsageError } from '../../errors.ts'
import { requirePlace, writeAside, writeWhole } from './write-file.ts'

test('a place is tried before there is something to write, and nothing is left there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-write-'))
  const path = join(folder, 'report.html')
  await requirePlace(path)
  expect(await readdir(folder)).toEqual([])
  await writeFile(path, 'old')
  await requirePlace(path)
  expect(await readFile(path, 'utf8')).toBe('old')
  const below = join(path, 'file')
  await expect(requirePlace(below)).rejects.toMatchObject({ code: 'ENOTDIR', path: below })
  await expect(requirePlace(folder)).rejects.toThrow(UsageError)
  await rm(folder, { recursive: true })
})

test('a full disk leaves the old file, nothing else, and an error that names it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bitnet-write-'))
  const path = join(folder, 'talk.json')
  await writeFile(path, 'old')
  // As the system's errors of open files are: without the file's name.
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    ...{ code: 'ENOSPC', syscall: 'write' },
  })
  const writing = writeAside(path, async (handle) => {
    await handle.writeFile('half')
    throw full
  })
  await expect(writing).rejects.toMatchObject({ code: 'ENOSPC', path })
  expect(await readdir(folder)).toEqual(['talk.json'])
  expect(await readFile(path, 'utf8')).toBe('old')
  await writeWhole(path, 'new')
  expect(await readFile(path, 'utf8')).toBe('new')
  await rm(folder, { recursive: true })
})
