/**
 * The table of rotary position embedding (Su et al. 2021): for position p and pair i,
 * angle = p * theta^(-2i / headDim), or a scaled frequency. Computed in float64, then rounded, so that
 * all backends rotate by the same numbers.
 */
import type { DeviceBuffer } from '../kernels/slice.ts'
import { type BufferOwner, bytesOf } from './buffer-owner.ts'
import { pairFrequencies, type RopeScaling } from './config/rope-scaling.ts'

/** cos, then sin, (positions, 2, headDim / 2). */
export function rotationTable(
  positions: number,
  headDim: number,
  theta: number,
  scaling?: RopeScaling,
): Float32Array {
  const half = headDim / 2
  const { frequencies, magnitude } = pairFrequencies(headDim, theta, scaling)
  const table = new Float32Array(positions * headDim)
  for (let i = 0; i < half; i++) {
    const frequency = frequencies[i]
    for (let p = 0; p < positions; p++) {
      table[p * headDim + i] = magnitude * Math.cos(p * frequency)
      table[p * headDim + half + i] = magnitude * Math.sin(p * frequency)
    }
  }
  return table
}

/**
 * Tables on a backend, made as long as caches need them: gives one of at least so many positions. One
 * that was handed out before stays valid, as programs in flight may read it; each new one is at least
 * twice as long, so that all the old ones together are no longer than the last.
 */
export function growingRotations(
  owner: BufferOwner,
  headDim: number,
  theta: number,
  scaling?: RopeScaling,
): (positions: number) => DeviceBuffer {
  let length = 0
  let buffer: DeviceBuffer | undefined
  return (positions) => {
    if (buffer !== undefined && positions <= length) return buffer
    length = Math.max(positions, 2 * length)
    const table = rotationTable(length, headDim, theta, scaling)
    buffer = owner.allocate(table.byteLength, 'rotations')
    owner.backend.write(buffer, 0, bytesOf(table))
    return buffer
  }
}
