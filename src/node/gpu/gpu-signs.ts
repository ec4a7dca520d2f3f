/**
 * What a system says of its GPU without WebGPU, which takes its time and on Linux says on standard error what
 * it does not find.
 */
import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { readCpuCores } from '../../backends/native/cpu-cores.ts'
import { namesIn } from '../files/system.ts'
import { packageVersion } from '../images/source-identity.ts'

/** Where the facts come from; tests have a system of their own. */
export interface GpuSystem {
  readonly platform: string
  /** The folder that holds dev, proc, etc and usr. */
  readonly root: string
}

/** Lists of Vulkan's drivers, which are written anew with each of their versions. */
const DRIVER_LISTS = ['etc/vulkan/icd.d', 'usr/share/vulkan/icd.d', 'usr/local/share/vulkan/icd.d']
/** What drivers in the kernel say of their version. */
const KERNEL_DRIVERS = ['proc/driver/nvidia/version', 'sys/module/amdgpu/version']

/** Whether there may be a GPU. Elsewhere than on Linux there nearly always is one. */
export async function mayHaveGpu({ platform, root }: GpuSystem): Promise<boolean> {
  if (platform !== 'linux') return true
  const devices = await namesIn(join(root, 'dev'))
  const cards = await namesIn(join(root, 'dev/dri'))
  return (
    devices.some((name) => /^(nvidia\d+|dxg|mali\d+)$/.test(name)) ||
    cards.some((name) => name.startsWith('renderD'))
  )
}

/** The version of the package "webgpu"; undefined where it is not installed. */
export function webGpuVersion(): string | undefined {
  try {
    return String(createRequire(import.meta.url)('webgpu/package.json').version)
  } catch {
    return undefined
  }
}

/** What a measurement holds for: another text, another driver, processor or program. */
export async function gpuIdentity({ root }: GpuSystem): Promise<string> {
  const lists = await Promise.all(
    DRIVER_LISTS.map(async (folder) =>
      (await namesIn(join(root, folder))).map((name) => {
        return `${name} ${statSync(join(root, folder, name), { throwIfNoEntry: false })?.mtimeMs}`
      }),
    ),
  )
  const cards = await namesIn(join(root, 'dev'))
  return JSON.stringify([
    packageVersion(),
    webGpuVersion(),
    release(),
    cpus().at(0)?.model,
    readCpuCores().threads,
    cards.filter((name) => name.startsWith('nvidia')).sort(),
    KERNEL_DRIVERS.map((path) => textAt(join(root, path))),
    lists.flat().sort(),
    process.env['VK_ICD_FILENAMES'],
    process.env['BITNET_WEBGPU'],
  ])
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
