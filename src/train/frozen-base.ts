/** The model that adapters are learnt beside: its matrices as codes, from whatever ternary form a file has. */
import { UsageError } from '../errors.ts'
import { decodeDense, isDense } from '../formats/dense-codecs.ts'
import type { ModelFile } from '../formats/model-file.ts'
import { openTernary } from '../formats/ternary/index.ts'
import { halfOrderRows } from '../model/weights/matrix-writer.ts'
import { locateParts, type PlannedPart } from '../model/weights/weight-plan.ts'
import { partAt } from './plan.ts'
import type { Trainer } from './trainer.ts'

/**
 * @throws FormatError naming what is missing or damaged; UsageError for an embedding in blocks
 */
export async function loadFrozenBase(trainer: Trainer, file: ModelFile): Promise<void> {
  const { plan } = trainer
  for (const part of locateParts(file, plan.shape.model)) {
    if (part.kind === 'linear') {
      await loadCodes(trainer, file, part)
      continue
    }
    const own = partAt(plan.frozen, part.role, part.layer)
    if (own === undefined) throw new TypeError(`The plan has no ${part.role}.`)
    const { type, name, source, offset, byteLength } = part.tensor
    if (!isDense(type)) {
      throw new UsageError(
        `Expected ${name} in F32, F16 or BF16 beside adapters, got ${type}. Convert the model first: bitnet ` +
          'convert MODEL FOLDER.',
      )
    }
    const values = new Float32Array(own.count)
    decodeDense(type, await source.read(offset, byteLength), values)
    trainer.writeFrozen(own, values)
  }
}

async function loadCodes(trainer: Trainer, file: ModelFile, part: PlannedPart): Promise<void> {
  const { codes, scales } = await ternaryRows(file, part)
  trainer.writeCodes(part, codes, scales)
}

/** The codes of a matrix and the scale of each row, heads in the order of safetensors. */
export async function ternaryRows(
  file: ModelFile,
  { tensor: info, rows, cols, interleavedHeadDim }: PlannedPart,
): Promise<{ codes: Int8Array; scales: Float32Array }> {
  const tensor = await openTernary(file, info, { rows, rowScales: true })
  const stored = new Int8Array(rows * cols)
  await tensor.readCodes(0, rows, stored)
  const own = tensor.rowScales ?? new Float32Array(rows).fill(tensor.scale)
  if (interleavedHeadDim === 0) return { codes: stored, scales: own }
  const [codes, scales] = [new Int8Array(rows * cols), new Float32Array(rows)]
  halfOrderRows(codes, stored, interleavedHeadDim, cols)
  halfOrderRows(scales, own, interleavedHeadDim, 1)
  return { codes, scales }
}
