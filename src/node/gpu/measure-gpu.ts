/**
 * Times a token on the GPU and on the processors. `node measure-gpu.js SHAPE` prints the result as JSON: in a
 * process of its own a driver may crash, hang or write on standard error, and nobody is harmed.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Backend } from '../../backends/backend.ts'
import { installedGpuFacts, KINDS, openBackend } from '../../backends/select.ts'
import { type ModelShape, shapeNamed } from '../../bench/shapes.ts'
import { timeToken } from '../../bench/token-time.ts'
import { messageOf } from '../../checks.ts'

/** What was found: seconds of a token, or why there are none. */
export type GpuMeasurement =
  | { readonly title: string; readonly gpuSeconds: number; readonly processorSeconds: number }
  | { readonly reason: string }

/** Milliseconds for each of the two. */
const BUDGET_MS = 150

export interface MeasuredBackends {
  facts(): ReturnType<typeof installedGpuFacts>
  openGpu(): Promise<Backend>
  openProcessor(): Promise<Backend>
}

const INSTALLED: MeasuredBackends = {
  facts: () => installedGpuFacts(),
  openGpu: () => KINDS.webgpu.open({}, []),
  openProcessor: () => openBackend(),
}

/** Seconds of a token of the shape. */
export async function measureGpu(
  shape: ModelShape,
  { facts, openGpu, openProcessor }: MeasuredBackends = INSTALLED,
): Promise<GpuMeasurement> {
  const time = async (opening: Promise<Backend>) => {
    const backend = await opening
    try {
      return await timeToken(backend, shape, { budgetMs: BUDGET_MS })
    } finally {
      await backend.dispose()
    }
  }
  try {
    const found = await facts()
    if (found === undefined) {
      return { reason: 'WebGPU finds no driver: install one with Vulkan for the card' }
    }
    if (found.isSoftware) {
      return { reason: `${found.title} is a processor that does the work of a GPU` }
    }
    const gpuSeconds = await time(openGpu())
    return { title: found.title, gpuSeconds, processorSeconds: await time(openProcessor()) }
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

const [, program, shape] = process.argv
if (shape !== undefined && realpathSync(program) === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(await measureGpu(shapeNamed(shape))))
  // Threads of a driver are not waited for.
  process.exit(0)
}
