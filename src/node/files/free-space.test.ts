/**
 * Refusing to begin what the disk cannot hold.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freeBytes, requireFreeSpace } from './free-space.ts'

const path = join(tmpdir(), 'no-such-folder', 'nor-this', 'file')

test('asks the disk of the nearest folder that exists', async () => {
  const asked: string[] = []
  const free = async (folder: string): Promise<number> => asked.push(folder) * 100
  await requireFreeSpace(path, 100, { free })
  expect(asked).toEqual([tmpdir()])
})

test('says how much is wanted, how much there is, and what to do', async () => {
  const free = async () => 1.5e9
  const refused = requireFreeSpace(path, 2e9, { free, advice: 'Buy a disk.' })
  await expect(refused).rejects.toMatchObject({ code: 'DISK_FULL' })
  await expect(refused).rejects.toThrow(/Expected 2\.00 GB.*got 1\.50 GB\. Buy a disk\.$/)
})

test('knows what this machine has', async () => {
  expect(await freeBytes(tmpdir())).toBeGreaterThan(0)
  await expect(requireFreeSpace(path, Number.MAX_SAFE_INTEGER)).rejects.toThrow('Free some space')
})
