/**
 * Converts a ternary model to a folder as Hugging Face lays it out, loadable by transformers: packed
 * codes with their scales, config.json and the tokenizer's files. From GGUF or from another folder, one
 * pass over the source, a few tensors in memory at a time.
 */
import type { ByteSink, TensorToWrite } from '../formats/byte-sink.ts'
import { isDense } from '../formats/dense-codecs.ts'
import type { ModelFile, TensorType, TernaryTensor } from '../formats/model-file.ts'
import {
  DTYPE_BYTES,
  type SafetensorsTensorToWrite,
  writeSafetensors,
} from '../formats/safetensors/index.ts'
import { elementCount } from '../formats/tensor-types.ts'
import {
  encodeWeightScale,
  openTernary,
  packHfTensor,
  widestScaleType,
} from '../formats/ternary/index.ts'
import { readConfig } from '../model/config/read-config.ts'
import { checkpointConfig, defaultLinearClass, type LinearClass } from './checkpoint-config.ts'
import { tokenizerFilesOf } from './checkpoint-tokenizer.ts'
import type { CommonOptions, ConversionInput, ConversionReport } from './conversion.ts'
import { type NamedTensor, nameTensors } from './named-tensors.ts'
import { ConversionTally } from './tally.ts'
import {
  denseStream,
  holdsExactly,
  type StreamContext,
  ternaryStream,
  withProgress,
} from './tensor-streams.ts'
import { ternaryIntake } from './ternary-intake.ts'

/** What transformers takes by default. */
const DEFAULT_SHARD_BYTES = 5e9

/** Types that a packed checkpoint keeps its embedding in. */
export const CHECKPOINT_EMBEDDINGS = ['BF16', 'F16', 'F32'] as const
export type CheckpointEmbedding = (typeof CHECKPOINT_EMBEDDINGS)[number]

export interface CheckpointConversionOptions extends CommonOptions {
  /**
   * What `weight_scale` means: it multiplies ("autobitlinear") or divides ("bitlinear"). Default: as in
   * the source, or autobitlinear.
   */
  readonly linearClass?: LinearClass
  /** Type of the embedding and of a separate head. Default: the source's, or F16 if that has blocks. */
  readonly embedding?: CheckpointEmbedding
  /** Weights beyond this go into several files. Default 5 GB, as transformers does. */
  readonly shardBytes?: number
}

/** Where a checkpoint's files go. */
export interface CheckpointSink {
  /** Called once before the first file, with all the bytes of weights to come. */
  reserve?(bytes: number): Promise<void>
  /** Opens the next file; the one before is complete by then. */
  file(name: string): Promise<ByteSink>
}

/** A tensor of the result, with what is needed to put it into order. */
interface PlannedTensor extends SafetensorsTensorToWrite, TensorToWrite {
  /** Written after everything else: the scale of weights that are quantised on the way. */
  readonly isLate: boolean
}

/**
 * @throws UsageError, FormatError or the signal's reason as convertToGguf does
 */
export async function convertToCheckpoint(
  input: ConversionInput,
  sink: CheckpointSink,
  options: CheckpointConversionOptions = {},
): Promise<ConversionReport> {
  const { file } = input
  const config = readConfig(file)
  const { named, leftOut } = await nameTensors(file, config)
  const linearClass = options.linearClass ?? defaultLinearClass(file)
  const json = checkpointConfig(file, config, linearClass)
  const sideFiles =
    file.format === 'gguf' ? tokenizerFilesOf(file, config) : (input.sideFiles ?? [])
  const tally = new ConversionTally()
  const planned: PlannedTensor[] = []
  const open = ternaryIntake(
    named.filter(({ kind }) => kind === 'linear'),
    { file, config, order: 'half', force: options.force === true },
  )
  const context = { open, tally, signal: options.signal }
  for (const entry of named) {
    if (entry.kind === 'linear') {
      planned.push(...(await packedTensors(file, entry, linearClass, context)))
    } else planned.push(await denseTensor(entry, options.embedding, context))
  }

  const shards = shardsOf(withProgress(planned, options), options.shardBytes)
  const names = shardNames(shards.length)
  await sink.reserve?.(planned.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let bytesOut = 0
  const write = async (name: string, bytes: Uint8Array) => {
    const target = await sink.file(name)
    await target.write(bytes)
    bytesOut += bytes.length
  }
  for (const [i, shard] of shards.entries()) {
    const tensors = [...shard].sort(inFileOrder)
    bytesOut += await writeSafetensors(await sink.file(names[i]), tensors, { format: 'pt' })
  }
  if (shards.length > 1) await write('model.safetensors.index.json', indexOf(shards, names))
  for (const { name, bytes } of sideFiles) await write(name, bytes)
  await write('config.json', jsonBytes(json))
  return tally.report(leftOut, named, {
    format: 'safetensors',
    architecture: String(json['model_type']),
    bytesOut,
  })
}

/**
 * Tensors in files of up to `shardBytes`, in the order given; one that is larger has a file of its own.
 * Codes and their scale follow each other and stay together.
 */
function shardsOf(
  tensors: readonly PlannedTensor[],
  shardBytes = DEFAULT_SHARD_BYTES,
): PlannedTensor[][] {
  const shards: PlannedTensor[][] = [[]]
  let bytes = 0
  for (const tensor of tensors) {
    const isFull = bytes > 0 && bytes + tensor.byteLength > shardBytes
    if (isFull && !tensor.name.endsWith('_scale')) {
      shards.push([])
      bytes = 0
    }
    shards[shards.length - 1].push(tensor)
    bytes += tensor.byteLength
  }
  return shards
}

/** File names of `count` shards. */
function shardNames(count: number): string[] {
  if (count === 1) return ['model.safetensors']
  const digits = (n: number) => String(n).padStart(5, '0')
  return Array.from(
    { length: count },
    (_, i) => `model-${digits(i + 1)}-of-${digits(count)}.safetensors`,
  )
}

/** Wider types first, so that each tensor starts at a multiple of its element's size. */
function inFileOrder(a: PlannedTensor, b: PlannedTensor): number {
  if (a.isLate !== b.isLate) return a.isLate ? 1 : -1
  return DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]
}

function indexOf(
  shards: readonly (readonly PlannedTensor[])[],
  names: readonly string[],
): Uint8Array {
  const placed = shards.flatMap((shard, i) => shard.map((tensor) => ({ tensor, name: names[i] })))
  return jsonBytes({
    metadata: { total_size: placed.reduce((sum, { tensor }) => sum + tensor.byteLength, 0) },
    weight_map: Object.fromEntries(placed.map(({ tensor, name }) => [tensor.name, name])),
  })
}

function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)
}

/** Codes and scale. The scale of float masters is known only once all of them have been read. */
async function packedTensors(
  file: ModelFile,
  entry: NamedTensor,
  linearClass: LinearClass,
  context: StreamContext,
): Promise<PlannedTensor[]> {
  const { checkpointName: name, tensor } = entry
  const [rows, cols] = entry.shape
  const convention = linearClass === 'autobitlinear' ? 'multiply' : 'divide'
  const isLate = isFloat(tensor.type)
  const known = isLate ? undefined : (await openTernary(file, tensor, { rows })).scale
  const dtype =
    known === undefined ? widestScaleType(convention) : encodeWeightScale(known, convention).dtype
  let scale = known
  const shape = [Math.ceil(rows / 4), cols]
  async function* encode(opened: TernaryTensor) {
    scale = opened.scale
    yield await packHfTensor(opened)
  }
  const codes = () => {
    return ternaryStream(entry, { type: 'U8', encode, storedScale: (kept) => kept }, context)
  }
  function* scaleBytes() {
    if (scale === undefined) throw new Error(`the codes of ${name} come before its scale`)
    yield encodeWeightScale(scale, convention, dtype).bytes
  }
  const scaleName = `${name}_scale`
  const byteLength = DTYPE_BYTES[dtype]
  return [
    { name, dtype: 'U8', shape, byteLength: elementCount(shape), isLate: false, data: codes },
    { name: scaleName, dtype, shape: [1], byteLength, isLate, data: scaleBytes },
  ]
}

/** Norms and routers are bf16, as published checkpoints have them, unless that would change a value. */
async function denseTensor(
  entry: NamedTensor,
  embedding: CheckpointEmbedding | undefined,
  context: StreamContext,
): Promise<PlannedTensor> {
  const { tensor, shape, shift, checkpointShift } = entry
  let dtype = embedding ?? (isFloat(tensor.type) ? tensor.type : 'F16')
  if (entry.kind !== 'table') {
    const isKept = shift === checkpointShift && isDense(tensor.type)
    dtype = isKept && (await holdsExactly(tensor, 'BF16')) ? 'BF16' : 'F32'
  }
  const byteLength = elementCount(shape) * DTYPE_BYTES[dtype]
  const data = () => denseStream(entry, dtype, checkpointShift, context)
  return { name: entry.checkpointName, dtype, shape, byteLength, isLate: false, data }
}

function isFloat(type: TensorType): type is CheckpointEmbedding {
  return type === 'F32' || type === 'F16' || type === 'BF16'
}
