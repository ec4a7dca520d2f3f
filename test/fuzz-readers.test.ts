/** A short part of `npm run fuzz`: no damage to any file that is read ends in anything but an error of ours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { BitnetError } from '../src/errors.ts'
import { damaged } from './fuzz/damage.ts'
import { openReaders } from './fuzz/readers.ts'
import { ROOT } from './support/built-program.ts'
import { randomFrom } from './support/random-texts.ts'

const INPUTS = 6
/** A damaged file may keep its library busy until its worker is ended. */
const SLOW = ['dataset, parquet']

const folder = mkdtempSync(join(tmpdir(), 'fuzz-readers-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const readers = await openReaders(ROOT, folder)

test.each(readers.filter(({ name }) => !SLOW.includes(name)))(
  '$name',
  async ({ healthy, read }) => {
    // What is healthy loads.
    for (const bytes of healthy) await read(bytes)
    const outcomes = { loaded: 0, refused: 0 }
    for (let i = 0; i < INPUTS * healthy.length; i++) {
      const bytes = damaged(healthy[i % healthy.length], randomFrom(77 + i))
      try {
        await read(bytes)
        outcomes.loaded++
      } catch (error) {
        expect(error, `input ${i}`).toBeInstanceOf(BitnetError)
        outcomes.refused++
      }
    }
    expect(outcomes.loaded + outcomes.refused).toBe(INPUTS * healthy.length)
  },
)
