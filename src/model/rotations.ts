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

/** Tables on a backend, made as long as caches need them. */
export class Rotations {
  readonly #owner: BufferOwner
  readonly #headDim: number
  readonly #theta: number
  readonly #scaling: RopeScaling | undefined
  #positions = 0
  #buffer: DeviceBuffer | undefined

  constructor(owner: BufferOwner, headDim: number, theta: number, scaling?: RopeScaling) {
    this.#owner = owner
    this.#headDim = headDim
    this.#theta = theta
    this.#scaling = scaling
  }

  /**
   * A table of at least so many positions. One that was handed out before stays valid, as programs in
   * flight may read it; each new one is at least twice as long, so that all the old ones together are
   * no longer than the last.
   */
  forPositions(positions: number): DeviceBuffer {
    if (this.#buffer !== undefined && positions <= this.#positions) return this.#buffer
    this.#positions = Math.max(positions, 2 * this.#positions)
    const table = rotationTable(this.#positions, this.#headDim, this.#theta, this.#scaling)
    this.#buffer = this.#owner.allocate(table.byteLength, 'rotations')
    this.#owner.backend.write(this.#buffer, 0, bytesOf(table))
    return this.#buffer
  }
}
