/**
 * Thread counts of machines that the tests do not run on: made-up /sys and /proc trees.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type CpuCores, readCpuCores, thisSystem } from './cpu-cores.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** A Linux with these files, by path below the root. */
async function linux(files: Record<string, string>, availableParallelism = 8): Promise<CpuCores> {
  const root = await mkdtemp(join(tmpdir(), 'cpu-cores-'))
  folders.push(root)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), `${text}\n`)
  }
  const sysctl = () => undefined
  return readCpuCores({ platform: 'linux', root, availableParallelism, sysctl })
}

/** Four cores of two threads, numbered as Intel does: 0 and 4 are one core. */
const FOUR_CORES: Record<string, string> = Object.fromEntries(
  Array.from({ length: 8 }, (_, cpu) => [
    `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`,
    `${cpu % 4},${(cpu % 4) + 4}`,
  ]),
)
const ALL = { 'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-7' }

describe('Linux', () => {
  test('threads of one core count once', async () => {
    expect(await linux({ ...FOUR_CORES, ...ALL })).toEqual({
      physicalCores: 4,
      logicalCpus: 8,
      quota: undefined,
      threads: 4,
    })
  })

  test('only processors of the affinity mask count', async () => {
    const status = { 'proc/self/status': 'Cpus_allowed_list:\t0,4-5' }
    expect(await linux({ ...FOUR_CORES, ...status }, 3)).toMatchObject({
      physicalCores: 2,
      threads: 2,
    })
  })

  test('the newer name of the siblings is read first', async () => {
    const newer = {
      'sys/devices/system/cpu/cpu0/topology/core_cpus_list': '0',
      'sys/devices/system/cpu/cpu0/topology/thread_siblings_list': '0-3',
      'sys/devices/system/cpu/cpu1/topology/core_cpus_list': '1',
      'sys/devices/system/cpu/cpu1/topology/thread_siblings_list': '0-3',
      'sys/devices/system/cpu/online': '0-1',
    }
    expect((await linux(newer)).physicalCores).toBe(2)
  })

  test.each([
    ['150000 100000', 1.5, 1],
    ['300000 100000', 3, 3],
    ['50000 100000', 0.5, 1],
    ['max 100000', undefined, 4],
    ['100000 0', undefined, 4],
    ['nonsense', undefined, 4],
  ])('cpu.max of "%s" is a quota of %s and gives %i threads', async (text, quota, threads) => {
    const group = { 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': text }
    expect(await linux({ ...FOUR_CORES, ...ALL, ...group })).toMatchObject({ quota, threads })
  })

  test('the smallest quota on the way up counts', async () => {
    const groups = {
      'proc/self/cgroup': '0::/pod/container',
      'sys/fs/cgroup/pod/container/cpu.max': '400000 100000',
      'sys/fs/cgroup/pod/cpu.max': '200000 100000',
    }
    expect((await linux({ ...FOUR_CORES, ...ALL, ...groups })).threads).toBe(2)
  })

  test('a quota of version 1, seen at the root of the mount, counts', async () => {
    const groups = {
      'proc/self/cgroup': '3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
    }
    expect((await linux({ ...FOUR_CORES, ...ALL, ...groups })).quota).toBe(2)
    const unlimited = { ...groups, 'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1' }
    expect((await linux({ ...FOUR_CORES, ...ALL, ...unlimited })).quota).toBeUndefined()
  })

  test('a path that leads out of the mount is not followed', async () => {
    const groups = {
      'proc/self/cgroup': '0::/../../../outside',
      'outside/cpu.max': '100000 100000',
    }
    expect((await linux({ ...FOUR_CORES, ...ALL, ...groups })).quota).toBeUndefined()
  })

  test('never more threads than Node says there are', async () => {
    expect((await linux({ ...FOUR_CORES, ...ALL }, 3)).threads).toBe(3)
  })

  test('without a topology, one thread per logical processor', async () => {
    expect(await linux({})).toMatchObject({ physicalCores: undefined, threads: 8 })
  })
})

describe('other systems', () => {
  test.each([
    [{ 'hw.perflevel0.physicalcpu': '4', 'hw.physicalcpu': '8' }, 4],
    [{ 'hw.physicalcpu': '6' }, 6],
    [{}, 12],
  ])('macOS with %j runs %i threads', (variables: Record<string, string>, threads) => {
    const sysctl = (name: string) => variables[name]
    const system = { platform: 'darwin', root: '/', availableParallelism: 12, sysctl }
    expect(readCpuCores(system).threads).toBe(threads)
  })

  test('Windows does not tell', () => {
    const system = { ...thisSystem(), platform: 'win32', availableParallelism: 16 }
    expect(readCpuCores(system)).toMatchObject({ physicalCores: undefined, threads: 16 })
  })

  test('this machine has between one thread and all its processors', () => {
    const { threads, logicalCpus } = readCpuCores()
    expect(threads).toBeGreaterThanOrEqual(1)
    expect(threads).toBeLessThanOrEqual(logicalCpus)
  })
})
