/**
 * Compares two files of the same model weight by weight, whatever formats and row orders they have.
 */
import { ShapeError } from '../errors.ts'
import { decodeDense } from '../formats/dense-codecs.ts'
import { LossMeter } from '../formats/loss-meter.ts'
import type { GgufFile, ModelFile, SafetensorsFile, TensorInfo } from '../formats/model-file.ts'
import { elementCount } from '../formats/tensor-types.ts'
import { openTernary } from '../formats/ternary/index.ts'
import { readConfig } from '../model/read-config.ts'
import { halfRows } from './head-order.ts'
import { type NamedTensor, nameTensors } from './named-tensors.ts'

interface TernaryDifference {
  /** By its GGUF name. */
  readonly tensor: string
  /** Weights whose codes differ. */
  readonly codes: number
  readonly scales: readonly [number, number]
}

interface DenseDifference {
  readonly tensor: string
  /** Root mean square of the difference, relative to that of the first file's values. */
  readonly relativeError: number
}

export interface ModelComparison {
  readonly ternaryTensors: number
  readonly ternaryWeights: number
  /** Ternary tensors with a code or the scale not equal; empty if all are. */
  readonly ternary: readonly TernaryDifference[]
  /** Embeddings, heads and norms that are not equal; empty if all are. */
  readonly dense: readonly DenseDifference[]
}

/** About this many codes of each file are in memory at a time. */
const CHUNK_CODES = 1 << 20

/**
 * @throws ShapeError if the files are of different architectures or sizes; FormatError as when reading
 */
export async function compareModels(
  a: GgufFile | SafetensorsFile,
  b: GgufFile | SafetensorsFile,
): Promise<ModelComparison> {
  const [aTensors, bTensors] = [a, b].map((file) => nameTensors(file, readConfig(file)))
  const others = new Map(bTensors.map((entry) => [entry.name, entry]))
  const ternary: TernaryDifference[] = []
  const dense: DenseDifference[] = []
  let ternaryTensors = 0
  let ternaryWeights = 0
  for (const entry of aTensors) {
    const other = others.get(entry.name)
    if (other === undefined || aTensors.length !== bTensors.length || !haveOneShape(entry, other)) {
      throw new ShapeError(
        `Expected two files of one model, but "${entry.name}" of ${a.name} is not in ${b.name} ` +
          'in the same shape.',
      )
    }
    if (entry.kind === 'linear') {
      const difference = await compareTernary(a, entry, b, other)
      ternaryTensors++
      ternaryWeights += elementCount(entry.shape)
      if (difference !== undefined) ternary.push(difference)
    } else {
      const relativeError = await compareDense(entry.tensor, other.tensor)
      if (relativeError !== 0) dense.push({ tensor: entry.name, relativeError })
    }
  }
  return { ternaryTensors, ternaryWeights, ternary, dense }
}

function haveOneShape(a: NamedTensor, b: NamedTensor): boolean {
  return a.shape.length === b.shape.length && a.shape.every((n, i) => n === b.shape[i])
}

async function compareTernary(
  aFile: ModelFile,
  aEntry: NamedTensor,
  bFile: ModelFile,
  bEntry: NamedTensor,
): Promise<TernaryDifference | undefined> {
  const a = await openInHalfOrder(aFile, aEntry)
  const b = await openInHalfOrder(bFile, bEntry)
  const { rows, cols } = a
  const unit = Math.max(1, aEntry.interleavedHeadDim, bEntry.interleavedHeadDim)
  const step = unit * Math.max(1, Math.floor(CHUNK_CODES / (unit * cols)))
  const aCodes = new Int8Array(Math.min(step, rows) * cols)
  const bCodes = new Int8Array(aCodes.length)
  let codes = 0
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row)
    await a.readCodes(row, count, aCodes)
    await b.readCodes(row, count, bCodes)
    for (let i = 0; i < count * cols; i++) if (aCodes[i] !== bCodes[i]) codes++
  }
  if (codes === 0 && a.scale === b.scale) return undefined
  return { tensor: aEntry.name, codes, scales: [a.scale, b.scale] }
}

async function openInHalfOrder(file: ModelFile, entry: NamedTensor) {
  const opened = await openTernary(file, entry.tensor, { rows: entry.shape[0] })
  return entry.interleavedHeadDim > 0 ? halfRows(opened, entry.interleavedHeadDim) : opened
}

/** Whole tensors: embeddings are the largest, a fraction of the model. */
async function compareDense(a: TensorInfo, b: TensorInfo): Promise<number> {
  const values = await readDense(a)
  const meter = new LossMeter()
  meter.addAll(values, await readDense(b))
  return meter.relativeError
}

async function readDense(tensor: TensorInfo): Promise<Float32Array> {
  const values = new Float32Array(elementCount(tensor.shape))
  const bytes = await tensor.source.read(tensor.offset, tensor.byteLength)
  decodeDense(tensor.type, bytes, values)
  return values
}
