/**
 * Compute pipelines, one for each shader and the values of its constants: binding 0 has a job's numbers, unless they
 * are constants too, and those behind it its memory. In the shaders of operations these are the slices in their order (define-op.ts).
 */
/// <reference types="@webgpu/types" />
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import { told } from './gpu-allocator.ts'
import { fixedNumbers, type Job } from './jobs.ts'
import { shaders } from './shaders.js'

export interface Pipeline {
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
  /** Whether it reads its numbers from binding 0; else they are constants. */
  readonly hasNumbers: boolean
}

export class Pipelines {
  readonly #device: GPUDevice
  readonly #made = new Map<string, Promise<Pipeline>>()

  constructor(device: GPUDevice) {
    this.#device = device
  }

  of(job: Job): Promise<Pipeline> {
    const numbers = fixedNumbers(job)
    const { shader, constants = {}, written } = job
    const values = Object.entries(constants).map(([key, value]) => `${key} ${value}`)
    const name = [shader, ...values, ...(numbers ? [numbers] : [])].join(', ')
    const made =
      this.#made.get(name) ??
      this.#make(name, textOf(shader, constants, numbers), written, numbers === undefined)
    this.#made.set(name, made)
    return made
  }

  async #make(
    label: string,
    code: string,
    written: readonly boolean[],
    hasNumbers: boolean,
  ): Promise<Pipeline> {
    const device = this.#device
    const visibility = 0x4 // GPUShaderStage.COMPUTE
    const layout = device.createBindGroupLayout({
      label,
      entries: [
        ...(hasNumbers ? [{ binding: 0, visibility, buffer: { type: 'uniform' } } as const] : []),
        ...written.map((isWritten, i): GPUBindGroupLayoutEntry => {
          const type = isWritten ? 'storage' : 'read-only-storage'
          return { binding: i + 1, visibility, buffer: { type } }
        }),
      ],
    })
    // Not left to the device's events: what is wrong is this shader's, and others go on.
    device.pushErrorScope('validation')
    const module = device.createShaderModule({ label, code })
    const refusal = told(device.popErrorScope())
    const refused = (message: string, cause?: unknown) =>
      new BackendError(`The GPU's driver refused the shader ${label}: ${message}`, { cause })
    const made = device.createComputePipelineAsync({
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    })
    const pipeline = await made.catch(async (cause) => {
      throw refused((await refusal)?.message ?? messageOf(cause), cause)
    })
    return { pipeline, layout, hasNumbers }
  }
}

/** A shader with values of its constants put in their places: arrays' lengths, too, may depend on them. */
function textOf(
  shader: string,
  constants: NonNullable<Job['constants']>,
  numbers: string | undefined,
): string {
  let text = shaders[shader]
  if (numbers !== undefined) {
    text = text.replace(/^.*var<uniform> params: Params;$/m, `const params = Params(${numbers});`)
  }
  for (const [name, value] of Object.entries(constants)) {
    const declaration = new RegExp(`^const ${name} = \\w+;$`, 'm')
    if (!declaration.test(text)) throw new Error(`The shader ${shader} has no constant ${name}.`)
    text = text.replace(declaration, `const ${name} = ${value}u;`)
  }
  return text
}
