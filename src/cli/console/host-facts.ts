/**
 * What machine and runtime this is, as far as the operating system tells without special rights.
 */
import { readFileSync } from 'node:fs'
import { cpus, freemem, loadavg, release, totalmem } from 'node:os'
import { type CpuCores, readCpuCores } from '../../backends/native/cpu-cores.ts'

export interface HostFacts {
  readonly node: string
  readonly platform: string
  readonly arch: string
  readonly osRelease: string
  readonly cpu: string
  readonly cores: CpuCores
  readonly memoryBytes: number
  /** Processes that wanted a processor over the last minute; 0 where the system does not tell. */
  readonly loadAverage: number
  /** Processor features that our kernels use or will use; undefined where the system hides them. */
  readonly cpuFeatures: readonly string[] | undefined
}

/** As Linux spells them. */
const FEATURES: readonly string[] = [
  'ssse3',
  'avx2',
  'fma',
  'f16c',
  'avx_vnni',
  'avx512f',
  'avx512bw',
  'avx512_vnni',
  'avx512vbmi',
  'amx_int8',
  'asimd',
  'asimddp',
  'i8mm',
  'sve',
]

export function hostFacts(): HostFacts {
  return {
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    osRelease: release(),
    cpu: cpus().at(0)?.model.trim() ?? 'unknown',
    cores: readCpuCores(),
    memoryBytes: totalmem(),
    loadAverage: loadavg()[0],
    cpuFeatures: process.platform === 'linux' ? linuxFeatures() : undefined,
  }
}

function linuxFeatures(): readonly string[] | undefined {
  try {
    // "flags" on x86-64, "Features" on arm64.
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))
    const present = new Set(line?.[1].trim().split(/\s+/))
    return FEATURES.filter((name) => present.has(name))
  } catch {
    return undefined
  }
}

/**
 * How much memory to go through where it, and no cache, is measured: servers have caches of more than 300 MB,
 * which few systems name. A sixteenth of what is free, within 64 MiB and `most`: unset 2 GiB.
 */
export function bytesBeyondCaches(most = 2 ** 31, free = freemem()): number {
  return Math.min(most, Math.max(2 ** 26, Math.floor(free / 16)))
}
