/**
 * How many bytes each storage type takes. Block types store a fixed number of neighbouring elements of
 * one row together; a row must hold whole blocks.
 */
import { isWhole } from '../checks.ts'
import { ShapeError } from '../errors.ts'
import type { TensorType } from './model-file.ts'

/** How many elements are stored together, in how many bytes. */
export interface BlockSize {
  readonly elements: number
  readonly bytes: number
}

/** Elements of an I2_S block; a tensor holds whole blocks, a row need not. */
export const I2_S_BLOCK = 128
/** Bytes after an I2_S tensor's codes: one float32 scale, then 28 bytes without meaning. */
export const I2_S_TAIL = 32

/** I2_S is given per block of codes; its tail of {@link I2_S_TAIL} bytes comes once a tensor. */
export const BLOCK_SIZES: Readonly<Record<TensorType, BlockSize>> = {
  F64: { elements: 1, bytes: 8 },
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q6_K: { elements: 256, bytes: 210 },
  Q5_0: { elements: 32, bytes: 22 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_K: { elements: 256, bytes: 144 },
  Q1_0: { elements: 128, bytes: 18 },
  Q2_0: { elements: 64, bytes: 18 },
  Q2_0_128: { elements: 128, bytes: 34 },
  TQ1_0: { elements: 256, bytes: 54 },
  TQ2_0: { elements: 256, bytes: 66 },
  I2_S: { elements: I2_S_BLOCK, bytes: 32 },
  U8: { elements: 1, bytes: 1 },
}

/** Product of the dimensions; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1)
}

/**
 * Bytes of a tensor.
 *
 * @param shape outermost first
 * @throws ShapeError if the type cannot hold the shape
 */
export function tensorByteLength(type: TensorType, shape: readonly number[]): number {
  const count = elementCount(shape)
  if (!isWhole(count) || shape.some((n) => !isWhole(n))) {
    throw new ShapeError(`Expected whole dimensions with a product below 2^53, got [${shape}].`)
  }
  const block = BLOCK_SIZES[type]
  const unit = type === 'I2_S' ? count : (shape.at(-1) ?? 1)
  if (unit % block.elements !== 0) {
    const what = type === 'I2_S' ? 'elements in all' : 'columns'
    throw new ShapeError(
      `Expected a multiple of ${block.elements} ${what} for ${type}, got the shape [${shape}].`,
    )
  }
  const bytes = (count / block.elements) * block.bytes
  return type === 'I2_S' ? bytes + I2_S_TAIL : bytes
}

/** As {@link tensorByteLength}, with a caller's own error, made of the reason, for a shape that does not fit. */
export function lengthOf(
  type: TensorType,
  shape: readonly number[],
  fail: (reason: string) => Error,
): number {
  try {
    return tensorByteLength(type, shape)
  } catch (error) {
    throw error instanceof ShapeError ? fail(error.message) : error
  }
}
