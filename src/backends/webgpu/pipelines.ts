/**
 * Compute pipelines, one for each operation: binding 0 has a command's numbers, and those behind it are the
 * operation's slices in their order (define-op.ts), so that a shader's declarations follow from it.
 */
/// <reference types="@webgpu/types" />
import type { Operation } from '../../kernels/define-op.ts'
import { shaders } from './shaders.js'

export interface Pipeline {
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
}

/** Whether a shader writes to a binding, for each of its slices. */
type Bindings = readonly { readonly isConst: boolean }[]

export class Pipelines {
  readonly #device: GPUDevice
  readonly #made = new Map<string, Promise<Pipeline>>()

  constructor(device: GPUDevice) {
    this.#device = device
  }

  /** @throws BackendError if the operation has no shader */
  of({ name, slices }: Operation): Promise<Pipeline> {
    return this.named(name, slices)
  }

  /** The shader of this name in shaders.js. */
  named(name: string, bindings: Bindings): Promise<Pipeline> {
    const made = this.#made.get(name) ?? this.#make(name, bindings)
    this.#made.set(name, made)
    return made
  }

  async #make(name: string, bindings: Bindings): Promise<Pipeline> {
    const device = this.#device
    const visibility = 0x4 // GPUShaderStage.COMPUTE
    const layout = device.createBindGroupLayout({
      label: name,
      entries: [
        { binding: 0, visibility, buffer: { type: 'uniform' } },
        ...bindings.map(({ isConst }, i): GPUBindGroupLayoutEntry => {
          return {
            binding: i + 1,
            visibility,
            buffer: { type: isConst ? 'read-only-storage' : 'storage' },
          }
        }),
      ],
    })
    const module = device.createShaderModule({ label: name, code: shaders[name] })
    const pipeline = await device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    })
    return { pipeline, layout }
  }
}
