/**
 * The GPU: an adapter, a device with all that the adapter allows, and what went wrong on it since. All of
 * WebGPU's errors come later than the call that made them; they are kept here for whoever waits.
 */
/// <reference types="@webgpu/types" />
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import { inTime } from './in-time.ts'
import type { Powers } from './tuned.ts'

/** Limits of which more is better; devices have the least of them unless asked for. */
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxStorageBuffersPerShaderStage',
] as const

/** That few-product.wgsl has; where it does not run neither do the others on int8 matrices. */
const MATRIX_BUFFERS = 11

/** All that the base asks for beyond what every device has. */
const LEAST_LIMITS = ['maxStorageBuffersPerShaderStage'] as const

/** Products of small matrices by subgroups, which Dawn has under this name. */
const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix' as GPUFeatureName

const WANTED_FEATURES: readonly GPUFeatureName[] = [
  'subgroups',
  'timestamp-query',
  'shader-f16',
  SUBGROUP_MATRIX,
]

const FASTEST: GPURequestAdapterOptions = { powerPreference: 'high-performance' }

/** To be found and opened. */
const OPENING_SECONDS = 30
/** For one answer of a device at work: on one in software a pass takes minutes. */
const ANSWER_SECONDS = 600

/** What the shaders need: packed dot products of bytes. */
const LANGUAGE_FEATURE = 'packed_4x8_integer_dot_product'

export class GpuDevice {
  readonly device: GPUDevice
  /** Kept as long as the device: in Node what it belongs to is given up when nobody knows it any more. */
  readonly gpu: GPU
  readonly powers: Powers
  /** Whether it is a processor that does the work of one. */
  readonly isSoftware: boolean
  /** "NVIDIA H200" or what the adapter says of itself. */
  readonly title: string
  #failure: BackendError | undefined
  /** Told of the first failure: what a lost device was asked may stay without an answer. */
  readonly #waiting = new Set<(failure: BackendError) => void>()

  constructor(gpu: GPU, adapter: GPUAdapter, device: GPUDevice, mostBytes = Infinity) {
    this.gpu = gpu
    this.device = device
    this.title = titleOf(adapter)
    this.isSoftware = isSoftware(adapter)
    const { limits } = device
    this.powers = {
      threads: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      workgroupBytes: limits.maxComputeWorkgroupStorageSize,
      bindingBytes: Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, mostBytes),
      int8Matrices:
        limits.maxStorageBuffersPerShaderStage >= MATRIX_BUFFERS &&
        hasMatrices(adapter, device, { type: 'i8', depth: 32 }),
      halfMatrices: hasMatrices(adapter, device, { type: 'f16', depth: 16 }),
    }
    device.addEventListener('uncapturederror', ({ error }) => this.refuse(error.message))
  }

  /** Keeps why a command was refused. */
  refuse(reason: string): void {
    this.fail(`The GPU refused a command: ${reason}`)
  }

  /** Keeps what went wrong first. @returns that */
  fail(message: string): BackendError {
    const failure = this.#failure ?? new BackendError(`${message} Load the model again.`)
    this.#failure = failure
    for (const giveUp of this.#waiting) giveUp(failure)
    return failure
  }

  /** What the device answers. @throws BackendError if it fails before, or does not answer at all */
  async answer<T>(asked: Promise<T>): Promise<T> {
    // Nobody asks what it comes to on a device that has failed.
    asked.catch(() => undefined)
    this.check()
    let giveUp = (_: BackendError): void => {}
    const failed = new Promise<never>((_, reject) => {
      giveUp = reject
      this.#waiting.add(giveUp)
    })
    const late = () => this.fail(`The GPU has not answered for ${ANSWER_SECONDS} seconds.`)
    try {
      return await Promise.race([failed, inTime(asked, ANSWER_SECONDS, late)])
    } finally {
      this.#waiting.delete(giveUp)
    }
  }

  /** @throws BackendError what went wrong first, if anything did */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Settles when all that was submitted has run. @throws BackendError */
  async settle(): Promise<void> {
    try {
      await this.answer(this.device.queue.onSubmittedWorkDone())
    } catch (cause) {
      this.fail(`The GPU did not finish: ${messageOf(cause)}.`)
    }
    this.check()
  }

  /** Settles when the device is lost, unless it was destroyed. */
  async whenLost(): Promise<string> {
    const { reason, message } = await this.device.lost
    if (reason === 'destroyed') return new Promise(() => {})
    this.fail(`The GPU was lost: ${message.replace(/\.$/, '')}.`)
    return message
  }
}

export interface DeviceOptions {
  /** Whether limits are to be those that every device has. Unset: all that the adapter allows. */
  readonly isLeast?: boolean
  /** Of a binding, where it is to have fewer bytes than the device allows. */
  readonly mostBytes?: number | undefined
}

/**
 * A device of the fastest adapter.
 *
 * @param gpu undefined where there is no WebGPU
 * @throws BackendError if there is no adapter, or none that runs the shaders
 */
export async function openDevice(
  gpu: GPU | undefined,
  { isLeast = false, mostBytes }: DeviceOptions = {},
): Promise<GpuDevice> {
  if (gpu === undefined) {
    throw new BackendError(
      'There is no WebGPU here. Use a browser that has it over https or on localhost, or another backend.',
    )
  }
  const adapter = await opening(gpu.requestAdapter(FASTEST))
  if (adapter === null) {
    throw new BackendError(
      'WebGPU found no GPU. Install a driver with Vulkan (Metal and Direct3D 12 come with the system), or ' +
        'use another backend.',
    )
  }
  if (!gpu.wgslLanguageFeatures.has(LANGUAGE_FEATURE)) {
    throw new BackendError(
      `Expected WGSL with ${LANGUAGE_FEATURE}, which this WebGPU does not have. Update the browser or the ` +
        'package "webgpu", or use another backend.',
    )
  }
  const requiredLimits: Record<string, number> = {}
  for (const name of isLeast ? LEAST_LIMITS : WANTED_LIMITS) {
    requiredLimits[name] = adapter.limits[name]
  }
  const requiredFeatures = WANTED_FEATURES.filter((name) => adapter.features.has(name))
  const device = await opening(adapter.requestDevice({ requiredLimits, requiredFeatures }))
  return new GpuDevice(gpu, adapter, device, mostBytes)
}

/** @throws BackendError if a driver does not say yes or no */
function opening<T>(asked: Promise<T>): Promise<T> {
  return inTime(asked, OPENING_SECONDS, () => {
    return new BackendError(
      `WebGPU has not answered for ${OPENING_SECONDS} seconds. Restart the browser or the machine, or use ` +
        'another backend.',
    )
  })
}

/** What Dawn says of an adapter beyond the standard. */
interface DawnAdapterInfo extends GPUAdapterInfo {
  readonly subgroupMatrixConfigs?: readonly {
    readonly componentType: string
    readonly resultComponentType?: string
    readonly resultType?: string
    readonly M: number
    readonly N: number
    readonly K: number
  }[]
}

/** Whether subgroups of 32 multiply matrices of 16 x depth and depth x 16, to sums of 32 bits. */
function hasMatrices(
  { info }: GPUAdapter,
  { features }: Pick<GPUDevice, 'features'>,
  { type, depth }: { type: 'i8' | 'f16'; depth: number },
): boolean {
  const {
    subgroupMatrixConfigs: shapes = [],
    subgroupMinSize,
    subgroupMaxSize,
  } = info as DawnAdapterInfo
  if (!features.has(SUBGROUP_MATRIX) || !features.has('subgroups')) return false
  if (type === 'f16' && !features.has('shader-f16')) return false
  if (subgroupMinSize !== 32 || subgroupMaxSize !== 32) return false
  return [...shapes].some(
    ({ componentType, resultComponentType, resultType, M, N, K }) =>
      componentType === type &&
      /32$/.test(resultComponentType ?? resultType ?? '32') &&
      M === 16 &&
      N === 16 &&
      K === depth,
  )
}

/** Processors that do the work of a GPU, by the names that drivers have for them. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i

function isSoftware({ info }: GPUAdapter): boolean {
  const { vendor, architecture, device, description, isFallbackAdapter } = info
  return isFallbackAdapter || SOFTWARE.test([vendor, architecture, device, description].join(' '))
}

/** Whether there is a GPU that runs the shaders, and that is none in software. */
export async function hasRealGpu(gpu: GPU): Promise<boolean> {
  if (!gpu.wgslLanguageFeatures.has(LANGUAGE_FEATURE)) return false
  const adapter = await opening(gpu.requestAdapter(FASTEST)).catch(() => null)
  return adapter !== null && !isSoftware(adapter)
}

/** What a GPU says of itself. */
export interface GpuFacts {
  readonly title: string
  readonly isSoftware: boolean
  /** Whether int8 matrices are offered as the shaders need them. */
  readonly int8Matrices: boolean
  /** Of those that the shaders use, and the others. */
  readonly features: readonly string[]
  readonly limits: Readonly<Record<(typeof WANTED_LIMITS)[number], number>>
}

/** @returns undefined where there is no GPU */
export async function gpuFacts(gpu: GPU): Promise<GpuFacts | undefined> {
  const adapter = await opening(gpu.requestAdapter(FASTEST))
  if (adapter === null) return undefined
  const limits = WANTED_LIMITS.map((name) => [name, adapter.limits[name]] as const)
  return {
    title: titleOf(adapter),
    isSoftware: isSoftware(adapter),
    int8Matrices: hasMatrices(adapter, adapter, { type: 'i8', depth: 32 }),
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(limits) as GpuFacts['limits'],
  }
}

function titleOf({ info }: GPUAdapter): string {
  const { vendor, architecture, device, description } = info
  return description || device || [vendor, architecture].filter(Boolean).join(' ') || 'unknown GPU'
}
