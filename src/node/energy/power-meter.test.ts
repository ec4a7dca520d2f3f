/**
 * Energy counters of machines that the tests do not run on: made-up /sys trees.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPowerMeter } from './power-meter.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'power-'))
})
afterAll(() => rm(folder, { recursive: true }))

interface FakeZone {
  readonly name: string
  readonly energy?: number
}

/** Writes the counters of a machine; the ids are as in intel-rapl:ID. */
async function machine(title: string, zones: Record<string, FakeZone>): Promise<string> {
  const root = join(folder, title)
  await mkdir(join(root, 'sys/class/powercap/intel-rapl'), { recursive: true })
  for (const [id, { name, energy }] of Object.entries(zones)) {
    const zone = join(root, 'sys/class/powercap', `intel-rapl:${id}`)
    await mkdir(zone, { recursive: true })
    await writeFile(join(zone, 'name'), `${name}\n`)
    await writeFile(join(zone, 'max_energy_range_uj'), '100000000\n')
    if (energy !== undefined) await writeFile(join(zone, 'energy_uj'), `${energy}\n`)
  }
  return root
}

test('packages and their memory count, parts of a package do not', async () => {
  const zones = {
    '0': { name: 'package-0', energy: 1_000_000 },
    '0:0': { name: 'core', energy: 500_000 },
    '0:1': { name: 'dram', energy: 2_000_000 },
    '1': { name: 'psys', energy: 9_000_000 },
  }
  const root = await machine('two', zones)
  const meter = openPowerMeter(root)
  if ('reason' in meter) throw new Error(meter.reason)
  expect(meter.description).toBe('package-0, dram')
  expect(meter.readJoules()).toBe(0)
  for (const zone of Object.values(zones)) zone.energy += 3_000_000
  await machine('two', zones)
  expect(meter.readJoules()).toBe(6)
})

test('a counter that starts again from 0 goes on', async () => {
  const root = await machine('wrap', { '0': { name: 'package-0', energy: 99_000_000 } })
  const meter = openPowerMeter(root)
  if ('reason' in meter) throw new Error(meter.reason)
  await machine('wrap', { '0': { name: 'package-0', energy: 500_000 } })
  expect(meter.readJoules()).toBe(1.5)
  await machine('wrap', { '0': { name: 'package-0', energy: 700_000 } })
  expect(meter.readJoules()).toBeCloseTo(1.7, 12)
})

test('says why there is no meter', async () => {
  expect(openPowerMeter(join(folder, 'none'))).toEqual({
    reason: 'this system shows no energy counters',
  })
  expect(openPowerMeter(await machine('empty', {}))).toEqual({
    reason: 'this processor shows no energy counters',
  })
  const locked = await machine('locked', { '0': { name: 'package-0' } })
  expect(openPowerMeter(locked)).toMatchObject({ reason: expect.stringContaining('by root') })
})
