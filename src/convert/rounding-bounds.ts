/**
 * How far two files of one model may lie apart because of the types they keep it in.
 */
import type { ModelFile, TensorInfo, TensorType } from '../formats/model-file.ts'

/**
 * The largest change of a value by each type, as a share of the largest magnitude among its neighbours
 * (256 values, which hold the block of any type):
 *
 * - BF16 and F16 round to 8 and 11 digits.
 * - Q8_0 has steps of max / 127, Q4_0 of max / 8, with one code less on one side; then the step itself is
 *   rounded to half precision, which moves the outermost value by 2^-11.
 * - Q6_K and Q4_K keep the step of each group as a whole number of a common unit, so that a group's
 *   outermost value may move by up to four steps more.
 */
const SHARES: Readonly<Partial<Record<TensorType, number>>> = {
  F64: 0,
  F32: 0,
  BF16: 2 ** -9,
  F16: 2 ** -11,
  Q8_0: 0.5 / 127 + 2 ** -11,
  Q6_K: 5 / 32,
  Q5_0: 1 / 16 + 2 ** -11,
  Q4_0: 1 / 8 + 2 ** -11,
  Q4_K: 4 / 15,
}

/** Below its normal numbers F16 has steps of 2^-24. */
const F16_STEP = 2 ** -25

/** The largest difference of two values whose neighbours' largest magnitude is `peak`. */
export function denseBound(a: TensorType, b: TensorType, peak: number): number {
  if (a === b) return 0
  return oneBound(a, peak) + oneBound(b, peak)
}

function oneBound(type: TensorType, peak: number): number {
  return (SHARES[type] ?? 1) * peak + (type === 'F16' ? F16_STEP : 0)
}

/** The largest relative difference between the scales of a ternary matrix in two files. */
export function scaleBound(
  a: { readonly file: ModelFile; readonly tensor: TensorInfo },
  b: { readonly file: ModelFile; readonly tensor: TensorInfo },
): number {
  const [aType, bType] = [a, b].map(scaleType)
  return aType === bType ? 0 : (SHARES[aType] ?? 0) + (SHARES[bType] ?? 0)
}

function scaleType({
  file,
  tensor,
}: {
  readonly file: ModelFile
  readonly tensor: TensorInfo
}): TensorType {
  if (tensor.type === 'TQ1_0' || tensor.type === 'TQ2_0') return 'F16'
  return file.tensors.get(`${tensor.name}_scale`)?.type ?? 'F32'
}
