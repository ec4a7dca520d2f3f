/**
 * Whether 'auto' takes the GPU: it is asked once for a machine and a size of model, and the answer is kept in the
 * cache until the driver, the processor or this program is another one.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ShapeName } from '../../bench/shapes.ts'
import { shapeOfSize } from '../../bench/token-time.ts'
import { parseObject } from '../../formats/json-text.ts'
import { cacheFolder } from '../files/folders.ts'
import { makeFolder, textOf } from '../files/system.ts'
import { writeWhole } from '../files/write-file.ts'
import { gpuIdentity, mayHaveGpu, webGpuVersion } from './gpu-signs.ts'
import type { GpuMeasurement } from './measure-gpu.ts'

/** A measurement, of the shape whose size comes nearest. */
export type GpuChoice = GpuMeasurement & { readonly shape: ShapeName; readonly isFaster: boolean }

/** Less than this share of the processors' time: what is about as fast is not worth another road. */
const FASTER = 0.9
/** Drivers that hang are given up. */
const MOST_MS = 60_000
/** What failed may have had its reasons in the moment, as a card that others had filled. */
const FAILURE_MS = 24 * 3600 * 1000

/** What is asked of the system; tests have their own. */
export interface GpuSurroundings {
  /** Why there is no use in looking; undefined: there is. */
  obstacle(): Promise<string | undefined>
  identity(): Promise<string>
  measure(shape: ShapeName): Promise<GpuMeasurement>
  now(): number
  /** Of this process, which may have a cache that cannot be written to. */
  readonly known: Map<string, GpuMeasurement>
}

const SYSTEM = { platform: process.platform, root: '/' }

const THIS_MACHINE: GpuSurroundings = {
  async obstacle() {
    if (!(await mayHaveGpu(SYSTEM))) return 'the system has no device of a GPU'
    return webGpuVersion() === undefined
      ? 'WebGPU in Node needs the package "webgpu": npm install webgpu'
      : undefined
  },
  identity: () => gpuIdentity(SYSTEM),
  measure: measureAside,
  now: Date.now,
  known: new Map(),
}

/**
 * Never throws, and takes no time where there is no GPU; the first time for a size it takes a second or two.
 *
 * @param byteLength of the model in memory
 */
export async function gpuChoice(
  byteLength: number,
  machine: GpuSurroundings = THIS_MACHINE,
): Promise<GpuChoice> {
  const shape = shapeOfSize(byteLength)
  const obstacle = await machine.obstacle()
  const found = obstacle === undefined ? await measured(shape, machine) : { reason: obstacle }
  const isFaster = 'gpuSeconds' in found && found.gpuSeconds < FASTER * found.processorSeconds
  return { ...found, shape, isFaster }
}

async function measured(shape: ShapeName, machine: GpuSurroundings): Promise<GpuMeasurement> {
  const text = `${shape} ${await machine.identity()}`
  const name = createHash('sha256').update(text).digest('hex').slice(0, 16)
  const folder = join(cacheFolder(), 'gpu')
  const path = join(folder, `${name}.json`)
  const told = machine.known.get(path)
  if (told !== undefined) return told
  const kept = readMeasurement(await textOf(path))
  if (kept !== undefined && isFresh(kept, machine.now())) return kept.made
  const made = await machine.measure(shape)
  machine.known.set(path, made)
  const keep = async () => {
    await makeFolder(folder)
    await writeWhole(path, JSON.stringify({ ...made, at: machine.now() }))
  }
  await keep().catch(() => {})
  return made
}

interface Kept {
  readonly made: GpuMeasurement
  /** Undefined where it was not kept. */
  readonly at: unknown
}

/** @returns undefined for what is none */
function readMeasurement(text: string): Kept | undefined {
  const { title, gpuSeconds, processorSeconds, reason, at } = parseObject(text) ?? {}
  if (typeof reason === 'string') return { made: { reason }, at }
  if (typeof title !== 'string') return undefined
  if (typeof gpuSeconds !== 'number' || typeof processorSeconds !== 'number') return undefined
  return { made: { title, gpuSeconds, processorSeconds }, at }
}

function isFresh({ made, at }: Kept, now: number): boolean {
  return !('reason' in made) || (typeof at === 'number' && Math.abs(now - at) < FAILURE_MS)
}

/**
 * In a process of its own, whose standard error nobody reads: Dawn writes there what it does not find.
 *
 * @param program that prints a measurement
 * @param mostMs until it is given up, whether or not it can be ended and whoever else writes to its pipes
 */
export function measureAside(
  shape: ShapeName,
  program = fileURLToPath(new URL(/* @vite-ignore */ './measure-gpu.js', import.meta.url)),
  mostMs = MOST_MS,
): Promise<GpuMeasurement> {
  const { BITNET_BACKEND: _, BITNET_ISA: __, ...env } = process.env
  return new Promise((resolve) => {
    const give = (found: GpuMeasurement) => {
      clearTimeout(timer)
      resolve(found)
    }
    const child = execFile(
      process.execPath,
      [program, shape],
      { env: { ...env, ELECTRON_RUN_AS_NODE: '1' }, windowsHide: true },
      (error, stdout) => {
        const reason = `measuring it failed (${error?.message ?? 'no result'})`
        give(readMeasurement(stdout)?.made ?? { reason })
      },
    )
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      give({ reason: `measuring it took more than ${mostMs / 1000} seconds` })
    }, mostMs)
  })
}
