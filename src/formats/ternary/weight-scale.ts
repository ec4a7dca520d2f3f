/**
 * The `weight_scale` beside packed weights, in the narrowest float type that gives our float32 scale back
 * bit for bit. Where it multiplies, float32 always does. Where it divides, the scale is a reciprocal, and
 * for about a sixth of all float32 scales no float32 has exactly this reciprocal; float64 has.
 */
import { decodeBF16, encodeBF16 } from '../float-codecs.ts'
import type { ScaleConvention } from './hf-packed.ts'

/** A scale as it is stored. */
export interface WeightScale {
  readonly dtype: 'BF16' | 'F32' | 'F64'
  /** Little-endian. */
  readonly bytes: Uint8Array
}

/** The type that holds any scale exactly, for headers that are written before the scale is known. */
export function widestScaleType(convention: ScaleConvention): 'F32' | 'F64' {
  return convention === 'multiply' ? 'F32' : 'F64'
}

/**
 * @param scale a positive float32
 * @param dtype the type to use; unset: the narrowest
 */
export function encodeWeightScale(
  scale: number,
  convention: ScaleConvention,
  dtype?: WeightScale['dtype'],
): WeightScale {
  const stored = convention === 'multiply' ? scale : 1 / scale
  const isExact = (value: number) =>
    Math.fround(convention === 'multiply' ? value : 1 / value) === scale
  const half = encodeBF16(Float32Array.of(stored))
  const rounded = new Float32Array(1)
  decodeBF16(rounded, half)
  if (dtype === 'BF16' || (dtype === undefined && isExact(rounded[0]))) {
    return { dtype: 'BF16', bytes: half }
  }
  if (dtype === 'F32' || (dtype === undefined && isExact(Math.fround(stored)))) {
    return { dtype: 'F32', bytes: new Uint8Array(Float32Array.of(stored).buffer) }
  }
  return { dtype: 'F64', bytes: new Uint8Array(Float64Array.of(stored).buffer) }
}
