/**
 * What a machine's measured rates mean for a model: how many tokens a second decoding and prefill can
 * reach, and what stands in the way. Attention, norms and the start of operations are left out, so that
 * real speeds are a little lower.
 */

import { denseByteLength } from '../kernels/dense-matmul/layout.ts'
import { ternaryByteLength } from '../kernels/matrices.ts'
import type { TernaryPacking } from '../kernels/storage.ts'
import type { MachineLimits } from './machine-limits.ts'
import { layerProducts, type ModelShape, ternaryWeights } from './shapes.ts'

/** A variant's speed at ternary products. */
export interface ProductRates {
  readonly packing: TernaryPacking
  /** Packed bytes per second with one token. */
  readonly bytesPerSecond: number
  /** Multiply-accumulates per second with many tokens. */
  readonly macsPerSecond: number
}

export interface Expectation {
  readonly model: string
  /** Bytes of ternary weights and of an int8 head, which a decoded token reads. */
  readonly ternaryBytes: number
  readonly headBytes: number
  /** If nothing but memory were in the way. */
  readonly decodeLimit: number
  /** With the measured speed of the products, in tokens per second. */
  readonly decode: number
  /** Multiply-accumulates of a prompt's token in ternary products. */
  readonly ternaryMacs: number
  /** If nothing but the integer instructions were in the way. */
  readonly prefillLimit: number
  readonly prefill: number
}

export function expectationOf(
  shape: ModelShape,
  { packing, bytesPerSecond, macsPerSecond }: ProductRates,
  limits: MachineLimits,
): Expectation {
  const layer = layerProducts(shape).reduce(
    (sum, { rows, cols }) => sum + ternaryByteLength({ packing, rows, cols }),
    0,
  )
  const ternaryBytes = shape.nLayers * layer
  const headBytes = denseByteLength('int8', shape.vocabSize, shape.dim)
  const ternaryMacs = ternaryWeights(shape)
  const memory = limits.readBytesPerSecond
  return {
    model: shape.title,
    ternaryBytes,
    headBytes,
    decodeLimit: memory / (ternaryBytes + headBytes),
    decode: 1 / (ternaryBytes / bytesPerSecond + headBytes / memory),
    ternaryMacs,
    prefillLimit: limits.macsPerSecond / ternaryMacs,
    prefill: macsPerSecond / ternaryMacs,
  }
}
