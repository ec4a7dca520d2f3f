/**
 * Tiny models of every family with seeded weights, written by our own writers and read back from
 * memory: as float masters or packed bytes in safetensors, or as GGUF.
 */
import type { JsonObject } from '../../src/checks.ts'
import { memorySink } from '../../src/formats/byte-sink.ts'
import { type EncodableType, encodeDense } from '../../src/formats/dense-codecs.ts'
import { type GgufTensorToWrite, parseGguf, writeGguf } from '../../src/formats/gguf/index.ts'
import { memorySource } from '../../src/formats/memory-source.ts'
import type { GgufFile, SafetensorsFile, TensorInfo } from '../../src/formats/model-file.ts'
import { tensorByteLength } from '../../src/formats/tensor-types.ts'
import { encodeTernary, packHf } from '../../src/formats/ternary/index.ts'
import { Seeded } from '../../src/kernels/testing/conformance-cases.ts'
import { absmeanQuantize } from '../../src/ternary/index.ts'

/** Names and shapes of a family's tensors in one of the formats. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/** Float values by tensor name. */
export type Values = ReadonlyMap<string, { readonly shape: readonly number[]; data: Float32Array }>

/** Random values: norms around 1, matrices as training leaves them. */
export function seededValues(shapes: Shapes, seed = 1): Values {
  const seeded = new Seeded(seed)
  const values = new Map<string, { shape: readonly number[]; data: Float32Array }>()
  for (const [name, shape] of Object.entries(shapes)) {
    const count = shape.reduce((a, b) => a * b, 1)
    const data = seeded.floats(count, shape.length === 1 ? 0.5 : 0.1)
    values.set(name, { shape, data: shape.length === 1 ? data.map((v) => v + 1) : data })
  }
  return values
}

/** Whether a tensor is a projection, as ternary models have it, and no table, head or norm. */
function isProjection(name: string, shape: readonly number[]): boolean {
  const isRouter = /ffn_gate_inp|\.gate\.weight$/.test(name)
  return shape.length >= 2 && !isRouter && !/embed|lm_head|^output\.weight$/.test(name)
}

function tensor(
  name: string,
  type: TensorInfo['type'],
  shape: readonly number[],
  bytes: Uint8Array,
) {
  const source = memorySource(bytes, 'family model')
  return { name, type, shape, source, offset: 0, byteLength: bytes.length } satisfies TensorInfo
}

function safetensors(config: JsonObject, tensors: readonly TensorInfo[]): SafetensorsFile {
  const byName = new Map(tensors.map((t) => [t.name, t]))
  return { format: 'safetensors', name: 'family', config, tensors: byName, async close() {} }
}

/** Float weights as they are, for families that quantise on load and for dense ones. */
export function mastersFile(
  config: JsonObject,
  values: Values,
  type: 'F32' | 'F16' | 'BF16' = 'F32',
): SafetensorsFile {
  const tensors = [...values].map(([name, { shape, data }]) =>
    tensor(name, type, shape, encodeDense(type, data)),
  )
  return safetensors(config, tensors)
}

/** Ternary codes four to a byte, with a scale that multiplies or divides. */
export function packedFile(
  config: JsonObject,
  values: Values,
  convention: 'multiply' | 'divide',
): SafetensorsFile {
  const tensors = [...values].flatMap(([name, { shape, data }]) => {
    if (!isProjection(name, shape)) return [tensor(name, 'F32', shape, encodeDense('F32', data))]
    const { codes, scale } = absmeanQuantize(data)
    const stored = Float32Array.of(convention === 'multiply' ? scale : 1 / scale)
    const [rows, cols] = shape
    const packed = packHf(codes, rows, cols)
    return [
      tensor(name, 'U8', [packed.length / cols, cols], packed),
      tensor(`${name}_scale`, 'F32', [1], encodeDense('F32', stored)),
    ]
  })
  return safetensors(config, tensors)
}

interface GgufTypes {
  readonly projections: 'I2_S' | 'TQ2_0' | EncodableType
  readonly rest?: EncodableType
}

/** Tensors as our writer takes them; projections are I2_S, or dense of a given type. */
export function ggufTensors(
  values: Values,
  { projections, rest = 'F32' }: GgufTypes,
): GgufTensorToWrite[] {
  return [...values].map(([name, { shape, data }]): GgufTensorToWrite => {
    const isTernary = projections === 'I2_S' || projections === 'TQ2_0'
    const type = isProjection(name.replace('token_embd', 'embed'), shape) ? projections : rest
    const write = { name, type, shape, byteLength: tensorByteLength(type, shape) }
    if (!isTernary || type !== projections) {
      return { ...write, data: () => [encodeDense(type as EncodableType, data)] }
    }
    const { codes, scale } = absmeanQuantize(data)
    const [rows, cols] = shape
    const readCodes = async (row: number, count: number, out: Int8Array) => {
      out.set(codes.subarray(row * cols, (row + count) * cols))
    }
    const source = { name, rows, cols, scale, origin: 'test', lossless: true, readCodes }
    return { ...write, data: () => encodeTernary(projections, source) }
  })
}

/** A GGUF file through the writer and the parser. */
export async function ggufFile(
  metadata: Readonly<Record<string, string | number>>,
  values: Values,
  types: GgufTypes,
): Promise<GgufFile> {
  const tensors = ggufTensors(values, types)
  const sink = memorySink()
  await writeGguf(sink, {
    metadata: Object.entries(metadata).map(([key, value]) => [
      key,
      typeof value === 'string'
        ? { type: 'string', value }
        : { type: Number.isInteger(value) ? 'u32' : 'f32', value },
    ]),
    tensors,
  })
  return parseGguf(memorySource(sink.bytes(), 'family.gguf'))
}

/** Puts the rows of each head from half pairs into interleaved ones, as llama files in GGUF have them. */
export function interleaveHeads(
  data: Float32Array,
  { headDim, cols }: { headDim: number; cols: number },
): Float32Array {
  const out = new Float32Array(data.length)
  for (let r = 0; r < data.length / cols; r++) {
    const inHead = r % headDim
    const from = r - inHead + (inHead >> 1) + (inHead % 2) * (headDim / 2)
    out.set(data.subarray(from * cols, (from + 1) * cols), r * cols)
  }
  return out
}

/** Makes projections ternary, with a scale for each of `groups` groups of rows, halves all of them. */
export function scaleRowGroups(values: Values, groups: number): Values {
  const entries = [...values].map(([name, { shape, data }]) => {
    if (!isProjection(name, shape)) return [name, { shape, data }] as const
    const { codes } = absmeanQuantize(data)
    const [rows, cols] = shape
    const scaleOf = (row: number) => (1 + Math.floor((row * groups) / rows)) / 64
    const scaled = Float32Array.from(codes, (code, i) => code * scaleOf(Math.floor(i / cols)))
    return [name, { shape, data: scaled }] as const
  })
  return new Map(entries)
}
