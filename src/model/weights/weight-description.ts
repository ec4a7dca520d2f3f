/**
 * Loaded weights as plain data and a list of buffers, and back: what a packed image holds. Any tree of
 * objects, arrays, numbers and texts will do, so that a model with other parts needs nothing here.
 */
import type { DeviceBuffer } from '../../kernels/slice.ts'
import type { LoadedWeights } from './load-weights.ts'

interface WeightDescription {
  /** A value of JSON; buffers are `{ "buffer": number }`, by their place in the list. */
  readonly tree: unknown
  readonly buffers: readonly DescribedBuffer[]
}

interface DescribedBuffer {
  readonly buffer: DeviceBuffer
  /** Bytes at its end of which only few are read in a pass: the low nibbles of an int4 table. */
  readonly sparseBytes: number
}

const BUFFER_KEY = 'buffer'

/** @throws Error if the weights hold something that JSON does not */
export function describeWeights(weights: LoadedWeights): WeightDescription {
  const { dispose: _, ...parts } = weights
  const buffers = new Map<DeviceBuffer, { index: number; sparseBytes: number }>()
  function plain(this: object, key: string, value: unknown): unknown {
    if (isBuffer(value)) {
      const known = buffers.get(value) ?? { index: buffers.size, sparseBytes: 0 }
      const isInt4 = key === 'data' && 'type' in this && this.type === 'int4'
      if (isInt4) known.sparseBytes = value.byteLength / 2
      buffers.set(value, known)
      return { [BUFFER_KEY]: known.index }
    }
    // -0 and numbers that are not finite would come back as others, functions not at all.
    const isNumber = Number.isFinite(value) && !Object.is(value, -0)
    if (isNumber || ['object', 'boolean', 'string', 'undefined'].includes(typeof value))
      return value
    throw new Error(`Weights hold ${String(value)}, which a packed image has no form for.`)
  }
  const tree: unknown = JSON.parse(JSON.stringify(parts, plain))
  const list = [...buffers].map(([buffer, { sparseBytes }]) => ({ buffer, sparseBytes }))
  return { tree, buffers: list }
}

/**
 * The weights of a description that {@link describeWeights} made: equal in all fields, with other
 * buffers. Whoever reads it from a file must know that the file is whole and of this version.
 *
 * @throws Error if the description names a buffer that is not there, or is none of weights
 */
export function rebuildWeights(
  tree: unknown,
  buffers: readonly DeviceBuffer[],
  dispose: () => void,
): LoadedWeights {
  const rebuild = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rebuild)
    if (typeof value !== 'object' || value === null) return value
    if (BUFFER_KEY in value) {
      const buffer = buffers[Number(value[BUFFER_KEY])]
      if (buffer === undefined) throw new Error('A packed image names a buffer it does not have.')
      return buffer
    }
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, rebuild(field)]))
  }
  const weights = rebuild(tree)
  const isObject = typeof weights === 'object' && weights !== null
  if (!isObject || !('embedding' in weights) || !('layers' in weights)) {
    throw new Error('A packed image holds no weights.')
  }
  return { ...(weights as LoadedWeights), dispose }
}

function isBuffer(value: unknown): value is DeviceBuffer {
  return typeof value === 'object' && value !== null && 'label' in value && 'byteLength' in value
}
