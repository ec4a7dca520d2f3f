/**
 * Compares two files of the same model weight by weight, whatever formats and row orders they have.
 */
import { fromFloat32 } from '../checks.ts'
import { ShapeError } from '../errors.ts'
import { decodeDense } from '../formats/dense-codecs.ts'
import { LossMeter } from '../formats/loss-meter.ts'
import type { GgufFile, ModelFile, SafetensorsFile, TensorType } from '../formats/model-file.ts'
import { elementCount, tensorByteLength } from '../formats/tensor-types.ts'
import { openTernary } from '../formats/ternary/index.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { readConfig } from '../model/config/read-config.ts'
import { halfRows } from './head-order.ts'
import { type NamedTensor, nameTensors } from './named-tensors.ts'
import { addTo } from './tensor-streams.ts'

/** A ternary matrix whose codes or scale differ. */
export interface TernaryDifference {
  /** By its GGUF name. */
  readonly tensor: string
  /** Weights whose codes differ. */
  readonly codes: number
  readonly scales: readonly [number, number]
  /** No code differs, and the scales no more than their types round. */
  readonly isWithinBound: boolean
}

/** An embedding, a head or a norm that differs. */
export interface DenseDifference {
  readonly tensor: string
  readonly types: readonly [string, string]
  /** Root mean square of the difference, relative to that of the first file's values. */
  readonly relativeError: number
  /** The largest difference of one value. */
  readonly largestError: number
  /** No value differs by more than the two types round. */
  readonly isWithinBound: boolean
}

/** What two files of one model have in common. */
export interface ModelComparison {
  readonly ternaryTensors: number
  readonly ternaryWeights: number
  readonly denseTensors: number
  /** Share of ternary weights whose codes are equal. */
  readonly equalCodes: number
  /** Ternary tensors with a code or the scale not equal; empty if all are. */
  readonly ternary: readonly TernaryDifference[]
  /** Embeddings, heads and norms that are not equal; empty if all are. */
  readonly dense: readonly DenseDifference[]
  /** Settings of the computation that differ; empty if all are equal. */
  readonly settings: readonly SettingDifference[]
  /** Tensors that neither model uses and that were not compared. */
  readonly leftOut: readonly string[]
  /** All codes and settings are equal, and all else is as near as the files' types allow. */
  readonly isWithinBounds: boolean
}

/** A number or a kind of computation that the two files state differently. */
export interface SettingDifference {
  /** As in ModelConfig. */
  readonly setting: string
  /** As JSON. */
  readonly values: readonly [string, string]
}

export interface ComparisonOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { doneTensors: number; tensors: number; tensor: string }) => void
}

/** About this many elements of each file are in memory at a time. */
const CHUNK_ELEMENTS = 1 << 20
/** Values that share a bound; every type's block divides it. */
const NEIGHBOURS = 256

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

/**
 * Float weights of a ternary model are compared as the codes that it runs with.
 *
 * @throws ShapeError if the files are of different architectures or sizes; FormatError as when reading;
 *   the signal's reason when aborted
 */
export async function compareModels(
  a: GgufFile | SafetensorsFile,
  b: GgufFile | SafetensorsFile,
  { signal, onProgress }: ComparisonOptions = {},
): Promise<ModelComparison> {
  const [aConfig, bConfig] = [readConfig(a), readConfig(b)]
  const { named: aTensors, leftOut: aRest } = await nameTensors(a, aConfig)
  const { named: bTensors, leftOut: bRest } = await nameTensors(b, bConfig)
  const others = new Map(bTensors.map((entry) => [entry.checkpointName, entry]))
  const ternary: TernaryDifference[] = []
  const dense: DenseDifference[] = []
  let [ternaryTensors, ternaryWeights, differing] = [0, 0, 0]
  for (const [i, entry] of aTensors.entries()) {
    signal?.throwIfAborted()
    const other = others.get(entry.checkpointName)
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
      differing += difference?.codes ?? 0
      if (difference !== undefined) ternary.push(difference)
    } else {
      const difference = await compareDense(entry, other)
      if (difference !== undefined) dense.push(difference)
    }
    onProgress?.({ doneTensors: i + 1, tensors: aTensors.length, tensor: entry.name })
  }
  const settings = compareSettings(aConfig, bConfig)
  return {
    ternaryTensors,
    ternaryWeights,
    denseTensors: aTensors.length - ternaryTensors,
    equalCodes: ternaryWeights === 0 ? 1 : 1 - differing / ternaryWeights,
    ternary,
    dense,
    settings,
    leftOut: [...new Set([...aRest, ...bRest])],
    isWithinBounds:
      settings.length === 0 && [...ternary, ...dense].every(({ isWithinBound }) => isWithinBound),
  }
}

/** What a file calls itself, and how it stores what is the same, is no part of the computation. */
const OF_THE_FILE: readonly string[] = ['architecture', 'name', 'shiftedNorms']

function compareSettings(a: ModelConfig, b: ModelConfig): SettingDifference[] {
  const [left, right]: readonly Readonly<Record<string, unknown>>[] = [{ ...a }, { ...b }]
  const names = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...names].flatMap((setting) => {
    const values = [shown(left[setting]), shown(right[setting])] as const
    return values[0] === values[1] || OF_THE_FILE.includes(setting) ? [] : [{ setting, values }]
  })
}

/** GGUF keeps numbers as float32; what is unset is as good as off. */
function shown(value: unknown): string {
  const rounded = (_: string, one: unknown) => (typeof one === 'number' ? fromFloat32(one) : one)
  return JSON.stringify(value === undefined ? false : value, rounded)
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
  const step = unit * Math.max(1, Math.floor(CHUNK_ELEMENTS / (unit * cols)))
  const aCodes = new Int8Array(Math.min(step, rows) * cols)
  const bCodes = new Int8Array(aCodes.length)
  let codes = 0
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row)
    await a.readCodes(row, count, aCodes)
    await b.readCodes(row, count, bCodes)
    codes += countDifferent(aCodes.subarray(0, count * cols), bCodes.subarray(0, count * cols))
  }
  if (codes === 0 && a.scale === b.scale) return undefined
  // How far the scales may lie apart because of the types that keep them.
  const [aType, bType] = [scaleType(aFile, aEntry), scaleType(bFile, bEntry)]
  const bound = aType === bType ? 0 : (SHARES[aType] ?? 0) + (SHARES[bType] ?? 0)
  return {
    tensor: aEntry.name,
    codes,
    scales: [a.scale, b.scale],
    isWithinBound: codes === 0 && Math.abs(a.scale - b.scale) <= bound * Math.max(a.scale, b.scale),
  }
}

function scaleType(file: ModelFile, { tensor }: NamedTensor): TensorType {
  if (tensor.type === 'TQ1_0' || tensor.type === 'TQ2_0') return 'F16'
  return file.tensors.get(`${tensor.name}_scale`)?.type ?? 'F32'
}

/** Four codes at a time: in files of one model hardly any differ. */
function countDifferent(a: Int8Array, b: Int8Array): number {
  const aWords = new Int32Array(a.buffer, 0, a.length >> 2)
  const bWords = new Int32Array(b.buffer, 0, b.length >> 2)
  let different = 0
  for (let w = 0; w < aWords.length; w++) {
    if (aWords[w] === bWords[w]) continue
    for (let i = 4 * w; i < 4 * w + 4; i++) if (a[i] !== b[i]) different++
  }
  for (let i = 4 * aWords.length; i < a.length; i++) if (a[i] !== b[i]) different++
  return different
}

async function openInHalfOrder(file: ModelFile, entry: NamedTensor) {
  const opened = await openTernary(file, entry.tensor, { rows: entry.shape[0] })
  return entry.interleavedHeadDim > 0 ? halfRows(opened, entry.interleavedHeadDim) : opened
}

async function compareDense(a: NamedTensor, b: NamedTensor): Promise<DenseDifference | undefined> {
  const types = [a.tensor.type, b.tensor.type] as const
  const meter = new LossMeter()
  let isWithinBound = true
  // Subtracting one from a norm below a half leaves no float32 that gives it back exactly.
  const slack = a.shift === b.shift ? 0 : 2 ** -24
  const bValues = denseChunks(b)
  for await (const aChunk of denseChunks(a)) {
    const bChunk = (await bValues.next()).value
    if (bChunk === undefined) throw new Error(`${b.name} ends before ${a.name}`)
    meter.addAll(aChunk, bChunk)
    isWithinBound &&= areNear(aChunk, bChunk, types, slack)
  }
  const { relativeError, largestError } = meter
  if (relativeError === 0) return undefined
  return { tensor: a.name, types, relativeError, largestError, isWithinBound }
}

function areNear(
  a: Float32Array,
  b: Float32Array,
  types: readonly [TensorType, TensorType],
  slack: number,
): boolean {
  for (let at = 0; at < a.length; at += NEIGHBOURS) {
    const end = Math.min(a.length, at + NEIGHBOURS)
    let peak = 0
    let largest = 0
    for (let i = at; i < end; i++) {
      peak = Math.max(peak, Math.abs(a[i]), Math.abs(b[i]))
      largest = Math.max(largest, Math.abs(a[i] - b[i]))
    }
    // Written so that NaN is not near anything.
    if (!(largest <= denseBound(...types, peak) + slack)) return false
  }
  return true
}

/** The largest difference of two values whose neighbours' largest magnitude is `peak`. */
function denseBound(a: TensorType, b: TensorType, peak: number): number {
  if (a === b) return 0
  return oneBound(a, peak) + oneBound(b, peak)
}

function oneBound(type: TensorType, peak: number): number {
  return (SHARES[type] ?? 1) * peak + (type === 'F16' ? F16_STEP : 0)
}

/** A tensor's values, a norm's as it multiplies with them, in pieces that are the same for every type. */
async function* denseChunks({
  tensor,
  shift,
}: NamedTensor): AsyncGenerator<Float32Array, undefined> {
  const { type, source, offset, byteLength } = tensor
  const count = elementCount(tensor.shape)
  const step = Math.min(count, CHUNK_ELEMENTS)
  const stepBytes = count === step ? byteLength : tensorByteLength(type, [step])
  for (let [at, byte] = [0, 0]; at < count; at += step, byte += stepBytes) {
    const values = new Float32Array(Math.min(step, count - at))
    const bytes = await source.read(offset + byte, Math.min(stepBytes, byteLength - byte))
    decodeDense(type, bytes, values)
    addTo(values, shift)
    yield values
  }
  return undefined
}
