/** Weights to go on from, out of a model of any form: floats as they are, and latent ones of what is packed. */
import { FormatError } from '../errors.ts'
import { decodeDense, isDense } from '../formats/dense-codecs.ts'
import type { ModelFile, TensorType } from '../formats/model-file.ts'
import { isTernaryAlready } from '../formats/ternary/index.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { halfOrderRows } from '../model/weights/matrix-writer.ts'
import { locateParts, type PlannedPart } from '../model/weights/weight-plan.ts'
import { ternaryRows } from './frozen-base.ts'
import type { Trainer } from './trainer.ts'

/**
 * Gives a trainer the weights of a model.
 *
 * @param config the model's, as it runs
 * @throws FormatError naming a tensor that is missing, damaged, or has a scale for each of its rows
 */
export async function fillFromModel(
  trainer: Trainer,
  file: ModelFile,
  config: ModelConfig,
): Promise<void> {
  const { parts, shape } = trainer.plan
  for (const part of locateParts(file, config)) {
    const own = parts.find(
      ({ role, layer, expert }) =>
        role === part.role && layer === part.layer && expert === part.expert,
    )
    if (own === undefined) throw new TypeError(`The plan has no ${part.role}.`)
    const values = (await isTernary(part))
      ? await latentsOf(file, part, shape.quant !== 'none')
      : await floatsOf(part)
    trainer.write('weights', own, values)
  }
}

const PACKED = new Set<TensorType>(['I2_S', 'U8', 'TQ1_0', 'TQ2_0'])

/** Packed, or floats that a quantiser made. */
async function isTernary({ kind, tensor }: PlannedPart): Promise<boolean> {
  return kind === 'linear' && (PACKED.has(tensor.type) || (await isTernaryAlready(tensor)))
}

/** @throws FormatError for a type that is neither float nor blocks of integers */
async function floatsOf({ tensor, rows, cols, interleavedHeadDim }: PlannedPart) {
  const stored = new Float32Array(rows * cols)
  if (!isDense(tensor.type)) {
    throw new FormatError(`Expected float values for ${tensor.name}, got ${tensor.type}.`, {
      field: tensor.name,
    })
  }
  decodeDense(tensor.type, await tensor.source.read(tensor.offset, tensor.byteLength), stored)
  if (interleavedHeadDim === 0) return stored
  const out = new Float32Array(rows * cols)
  halfOrderRows(out, stored, interleavedHeadDim, cols)
  return out
}

/**
 * Codes times their scale; for a quantiser divided by the share of those that are not 0, so that the mean of their
 * magnitudes is the scale again and the first step computes the stored model.
 */
async function latentsOf(file: ModelFile, part: PlannedPart, isQuantized: boolean) {
  const { codes, scales } = await ternaryRows(file, part)
  const [scale] = scales
  if (isQuantized && scales.some((own) => own !== scale)) {
    throw new FormatError(
      `Expected one scale in ${part.tensor.name}, got one for each row, which training has not. Go on from ` +
        'float weights of that model.',
      { field: part.tensor.name },
    )
  }
  const filled = codes.reduce((count, code) => count + Math.abs(code), 0)
  const share = isQuantized ? Math.max(1, filled) / codes.length : 1
  return Float32Array.from(codes, (code, i) => (code * scales[Math.floor(i / part.cols)]) / share)
}
