/**
 * How many threads the kernels should run: one per physical core that this process may use.
 *
 * Two threads of one core share its vector units and its path to memory, so the second one gains
 * nothing and makes every phase wait for a slower thread. A container's CPU quota counts too: threads
 * above it are stopped in the middle of a phase, while the others wait for them.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

export interface CpuCores {
  /** Physical cores this process may run on; undefined where the system does not tell. */
  readonly physicalCores: number | undefined
  /** Logical processors this process may run on. */
  readonly logicalCpus: number
  /** Processors' worth of time that the control group allows; undefined without a limit. */
  readonly quota: number | undefined
  /** What the native backend opens when no count is asked for; at least 1. */
  readonly threads: number
}

/** Where the facts come from; tests have a system of their own. */
export interface CpuSystem {
  readonly platform: string
  /** The folder that holds sys and proc. */
  readonly root: string
  readonly availableParallelism: number
  /** The value of a macOS kernel variable, or undefined. */
  readonly sysctl: (name: string) => string | undefined
}

export function thisSystem(): CpuSystem {
  return {
    platform: process.platform,
    root: '/',
    availableParallelism: availableParallelism(),
    sysctl,
  }
}

export function readCpuCores(system: CpuSystem = thisSystem()): CpuCores {
  const logicalCpus = system.availableParallelism
  const physicalCores = physicalCoresOf(system)
  const quota = system.platform === 'linux' ? cgroupQuota(system.root) : undefined
  // A part of a processor is not enough for a thread that others wait for.
  const whole = quota === undefined ? Number.POSITIVE_INFINITY : Math.floor(quota)
  const threads = Math.max(1, Math.min(physicalCores ?? logicalCpus, logicalCpus, whole))
  return { physicalCores, logicalCpus, quota, threads }
}

function physicalCoresOf({ platform, root, sysctl }: CpuSystem): number | undefined {
  if (platform === 'linux') return linuxCores(root)
  if (platform !== 'darwin') return undefined
  // The efficiency cores of Apple's processors are left to the rest of the system.
  for (const name of ['hw.perflevel0.physicalcpu', 'hw.physicalcpu']) {
    const count = Number(sysctl(name))
    if (Number.isInteger(count) && count > 0) return count
  }
  return undefined
}

function sysctl(name: string): string | undefined {
  try {
    const text = execFileSync('/usr/sbin/sysctl', ['-n', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return text.trim()
  } catch {
    return undefined
  }
}

/** Distinct groups of sibling threads among the processors that this process may run on. */
function linuxCores(root: string): number | undefined {
  const status = readText(join(root, 'proc/self/status'))
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status ?? '')?.[1]
  const cpus = parseCpuList(allowed ?? readText(join(root, 'sys/devices/system/cpu/online')) ?? '')
  const cores = new Set<string>()
  for (const cpu of cpus) {
    const topology = join(root, `sys/devices/system/cpu/cpu${cpu}/topology`)
    // The first name is the newer kernels'.
    const siblings =
      readText(join(topology, 'core_cpus_list')) ?? readText(join(topology, 'thread_siblings_list'))
    if (siblings !== undefined) cores.add(siblings)
  }
  return cores.size > 0 ? cores.size : undefined
}

/** Linux supports 8,192 processors at most. */
const MAX_CPUS = 8192

/** "0-3,8" as [0, 1, 2, 3, 8]; what is no such list gives nothing. */
function parseCpuList(text: string): number[] {
  const cpus: number[] = []
  for (const range of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range)
    if (match === null) continue
    const last = Math.min(Number(match[2] ?? match[1]), MAX_CPUS)
    for (let cpu = Number(match[1]); cpu <= last; cpu++) cpus.push(cpu)
  }
  return cpus
}

/** The smallest quota of this process's control group and those above it, in processors. */
function cgroupQuota(root: string): number | undefined {
  const groups = readText(join(root, 'proc/self/cgroup')) ?? ''
  const quotas: number[] = []
  for (const line of groups.split('\n')) {
    // hierarchy:controllers:path; version 2 has no controllers.
    const [, controllers, path] = line.split(':')
    if (controllers === undefined || path === undefined) continue
    if (controllers === '') {
      for (const folder of upwards('sys/fs/cgroup', path)) {
        quotas.push(quotaOf(readText(join(root, folder, 'cpu.max'))))
      }
    } else if (controllers.split(',').includes('cpu')) {
      for (const folder of upwards('sys/fs/cgroup/cpu', path)) {
        const quota = readText(join(root, folder, 'cpu.cfs_quota_us'))
        const period = readText(join(root, folder, 'cpu.cfs_period_us'))
        quotas.push(quotaOf(`${quota} ${period}`))
      }
    }
  }
  const smallest = Math.min(...quotas)
  return Number.isFinite(smallest) ? smallest : undefined
}

/**
 * A control group's folder and all above it. In a container the path may be the host's, of which
 * nothing is to be seen but the mount's root, so that is always among them.
 */
function upwards(mount: string, path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    [mount, ...parts.slice(0, parts.length - i)].join('/'),
  )
}

/** "150000 100000" as 1.5; "max 100000", "-1 100000" and anything else as infinity. */
function quotaOf(text: string | undefined): number {
  const match = /^(\d+) (\d+)$/.exec(text ?? '')
  if (match === null || Number(match[2]) === 0) return Number.POSITIVE_INFINITY
  return Number(match[1]) / Number(match[2])
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
