/**
 * One way to ternary codes from every storage type: I2_S, TQ1_0, TQ2_0, Hugging Face's packed bytes,
 * and float weights, which are quantised on the way.
 */
import { isWhole } from '../../checks.ts'
import { type FormatError, ShapeError } from '../../errors.ts'
import { checkOptions, type OptionRules, oneOf, SWITCH } from '../../option-checks.ts'
import type { ModelFile, TensorInfo, TernaryTensor } from '../model-file.ts'
import { type CodeReader, openI2S, openTQ } from './block-readers.ts'
import {
  openPacked,
  quantizationOf,
  readSingle,
  readWeightScale,
  SCALE_CONVENTIONS,
  type ScaleConvention,
  scaleConventionOf,
  scaleNameOf,
} from './hf-packed.ts'
import { openMaster } from './master-weights.ts'
import { openBinary, openScaledRows } from './scaled-rows.ts'
import { tensorError } from './tensor-damage.ts'

/**
 * Scales are means of weights: quantisers keep them above 1e-5, and none is large. Beyond these bounds
 * products overflow, or vanish, in float32, and what comes out is nothing but zeros.
 */
const [MIN_SCALE, MAX_SCALE] = [1e-12, 1e6]

/** What a file may leave open, or a caller may want otherwise. */
export interface OpenTernaryOptions {
  /** How packed bytes' `weight_scale` applies; unset: as config.json says. */
  readonly scaleConvention?: ScaleConvention
  /** Used in place of the stored `weight_scale`, in the same convention. */
  readonly weightScale?: number
  /**
   * Takes a scale a row where float weights are ternary with that, and gives `rowScales`. Unset: false,
   * and such weights are quantised like any others.
   */
  readonly rowScales?: boolean
  /** Logical rows of packed bytes; unset: four times the byte rows. */
  readonly rows?: number
}

const OPEN_OPTIONS: OptionRules<OpenTernaryOptions> = {
  scaleConvention: oneOf(SCALE_CONVENTIONS),
  weightScale: { expected: 'a finite number', holds: Number.isFinite },
  rowScales: SWITCH,
  rows: { expected: 'a whole number', holds: (value) => isWhole(value) },
}

interface Opened extends CodeReader {
  readonly rows: number
  readonly origin: string
  readonly lossless: boolean
  readonly rowScales?: Float32Array | undefined
  readonly roundingError?: (() => Promise<number>) | undefined
}

/**
 * Opens a ternary matrix. A GGUF tensor `x.weight` with a one-element `x.scale` beside it (arch bitnet)
 * is multiplied by that.
 *
 * @throws FormatError if the tensor is no matrix, is of a type without ternary codes, lacks its scale or
 *   holds several; also from `readCodes`, on codes that cannot be
 */
export async function openTernary(
  file: ModelFile,
  tensor: TensorInfo,
  options: OpenTernaryOptions = {},
): Promise<TernaryTensor> {
  checkOptions('openTernary', options, OPEN_OPTIONS)
  if (tensor.shape.length !== 2 || tensor.shape.includes(0)) {
    throw fail(tensor, `Expected a matrix, got the shape [${tensor.shape}]`)
  }
  const opened = await open(file, tensor, options)
  const factor = await multiplier(file, tensor)
  const scale = Math.fround(opened.scale * factor)
  const rowScales = opened.rowScales?.map((s) => s * factor)
  const isWrong = (s: number): boolean => !(s >= MIN_SCALE && s <= MAX_SCALE)
  const wrong = isWrong(scale) ? scale : rowScales?.find(isWrong)
  if (wrong !== undefined) {
    throw fail(tensor, `Expected a positive scale from ${MIN_SCALE} to ${MAX_SCALE}, got ${wrong}`)
  }
  const { rows, origin, lossless } = opened
  const cols = tensor.shape[1]
  return {
    name: tensor.name,
    rows,
    cols,
    scale,
    origin,
    lossless,
    async readCodes(row, count, out) {
      const legal = isWhole(row) && isWhole(count)
      if (!legal || row + count > rows || out.length < count * cols) {
        throw new ShapeError(
          `Expected rows within ${rows} of "${tensor.name}" and room for ${count * cols} codes, ` +
            `got rows ${row} to ${row + count} and room for ${out.length}.`,
        )
      }
      if (count > 0) await opened.readCodes(row, count, out)
    },
    rowScales,
    readI2s: opened.readI2s,
    roundingError: opened.roundingError,
  }
}

async function open(
  file: ModelFile,
  tensor: TensorInfo,
  options: OpenTernaryOptions,
): Promise<Opened> {
  const { type } = tensor
  const as = (reader: CodeReader, how = '', lossless = true): Opened => {
    return { rows: tensor.shape[0], ...reader, origin: `${type}${how}`, lossless }
  }
  switch (type) {
    case 'I2_S':
      return as(await openI2S(tensor))
    case 'TQ1_0':
    case 'TQ2_0':
      return as(await openTQ(tensor, type))
    case 'F32':
    case 'F16':
    case 'BF16': {
      // BitNet b1, whose float weights stand for their signs: told by the number of bits a weight.
      if (quantizationOf(file)['weight_bits'] === 1) {
        return as(await openBinary(tensor), ', signs around the mean', false)
      }
      const scaled = options.rowScales ? await openScaledRows(tensor) : undefined
      if (scaled) return as(scaled, ', ternary already, a scale a row')
      const reader = await openMaster(tensor, type)
      return as(reader, reader.exact ? ', ternary already' : ', quantised by absmean', reader.exact)
    }
    case 'U8':
      return openPackedTensor(file, tensor, options)
    default:
      throw fail(
        tensor,
        `Expected I2_S, TQ1_0, TQ2_0, packed U8, F32, F16 or BF16 for ternary weights, got ${type}`,
      )
  }
}

async function openPackedTensor(
  file: ModelFile,
  tensor: TensorInfo,
  options: OpenTernaryOptions,
): Promise<Opened> {
  const stored = options.weightScale ?? (await readWeightScale(file, tensor))
  const convention = options.scaleConvention ?? scaleConventionOf(file)
  const [byteRows] = tensor.shape
  const rows = options.rows ?? 4 * byteRows
  if (Math.ceil(rows / 4) !== byteRows) {
    throw fail(tensor, `Expected ${Math.ceil(rows / 4)} rows of bytes for ${rows}, got ${byteRows}`)
  }
  const scale = Math.fround(convention === 'multiply' ? stored : 1 / stored)
  const how = convention === 'multiply' ? 'scale multiplies' : 'scale divides'
  return {
    ...openPacked(tensor, rows, scale),
    rows,
    origin: `hf-packed, ${how}`,
    lossless: true,
  }
}

/** A scale apart in GGUF multiplies whatever the codes' own is. */
async function multiplier(file: ModelFile, tensor: TensorInfo): Promise<number> {
  if (file.format !== 'gguf') return 1
  const scale = file.tensors.get(scaleNameOf(file, tensor) ?? '')
  return scale === undefined ? 1 : readSingle(scale, tensor.ofStack)
}

function fail(tensor: TensorInfo, message: string): FormatError {
  return tensorError(
    tensor,
    `${message} for tensor "${tensor.name}" of ${tensor.source.name}. ` +
      'Check that the file is a ternary model, or convert the original checkpoint again.',
  )
}
