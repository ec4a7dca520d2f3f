/**
 * Tensors as float32, whatever their storage type, and back. Works on any whole number of blocks, so
 * that large tensors are streamed a few rows at a time.
 */
import { ShapeError } from '../errors.ts'
import { decodeFloat16, float16Table } from '../kernels/float16.ts'
import {
  decodeQ1_0,
  decodeQ2_0,
  decodeQ4_0,
  decodeQ5_0,
  decodeQ8_0,
  encodeQ4_0,
  encodeQ8_0,
} from './block-quants.ts'
import {
  asFloat32,
  asUint16,
  bytesOf,
  decodeBfloat16,
  decodeF64,
  encodeBF16,
  encodeF16,
} from './float-codecs.ts'
import { decodeQ4_K, decodeQ6_K, encodeQ6_K } from './k-quants.ts'
import type { TensorType } from './model-file.ts'
import { BLOCK_SIZES } from './tensor-types.ts'
import { TERNARY_BLOCK, TERNARY_BLOCKS } from './ternary-blocks.ts'

/** Types that {@link decodeDense} reads. */
type DenseStorage = Exclude<TensorType, 'I2_S' | 'U8'>
/** Types that {@link encodeDense} writes. */
export type EncodableType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q6_K' | 'Q4_0'

type Decoder = (out: Float32Array, bytes: Uint8Array) => void

const DECODERS: Readonly<Record<DenseStorage, Decoder>> = {
  F64: decodeF64,
  F32: (out, bytes) => out.set(asFloat32(bytes)),
  F16: (out, bytes) => decodeFloat16(out, asUint16(bytes)),
  BF16: (out, bytes) => decodeBfloat16(out, asUint16(bytes)),
  Q8_0: decodeQ8_0,
  Q6_K: decodeQ6_K,
  Q5_0: decodeQ5_0,
  Q4_0: decodeQ4_0,
  Q4_K: decodeQ4_K,
  Q1_0: decodeQ1_0,
  Q2_0: (out, bytes) => decodeQ2_0(out, bytes, BLOCK_SIZES.Q2_0.elements),
  Q2_0_128: (out, bytes) => decodeQ2_0(out, bytes, BLOCK_SIZES.Q2_0_128.elements),
  TQ1_0: (out, bytes) => decodeScaled('TQ1_0', out, bytes),
  TQ2_0: (out, bytes) => decodeScaled('TQ2_0', out, bytes),
}

const ENCODERS: Readonly<Record<EncodableType, (values: Float32Array) => Uint8Array>> = {
  F32: (values) => bytesOf(values.slice()),
  F16: encodeF16,
  BF16: encodeBF16,
  Q8_0: encodeQ8_0,
  Q6_K: encodeQ6_K,
  Q4_0: encodeQ4_0,
}

/** Whether a tensor of this type can be read as float32 by itself. */
export function isDense(type: TensorType): type is DenseStorage {
  return Object.hasOwn(DECODERS, type)
}

/**
 * Decodes whole blocks.
 *
 * @param bytes the blocks of out.length elements
 * @throws ShapeError if the lengths do not agree or the type has no values of its own
 */
export function decodeDense(type: TensorType, bytes: Uint8Array, out: Float32Array): void {
  if (!isDense(type)) {
    throw new ShapeError(
      `Expected a type that holds plain numbers, got ${type}. Read it with openTernary instead.`,
    )
  }
  checkBlocks(type, bytes.length, out.length)
  DECODERS[type](out, bytes)
}

/**
 * Encodes whole blocks; each type rounds to its nearest values.
 *
 * @throws ShapeError if `values` are not whole blocks
 */
export function encodeDense(type: EncodableType, values: Float32Array): Uint8Array {
  const { elements, bytes } = BLOCK_SIZES[type]
  checkBlocks(type, (values.length / elements) * bytes, values.length)
  return ENCODERS[type](values)
}

function checkBlocks(type: TensorType, byteLength: number, count: number): void {
  const { elements, bytes } = BLOCK_SIZES[type]
  if (count % elements === 0 && (count / elements) * bytes === byteLength) return
  throw new ShapeError(
    `Expected whole blocks of ${elements} elements in ${bytes} bytes for ${type}, got ` +
      `${count} elements in ${byteLength} bytes.`,
  )
}

function decodeScaled(type: 'TQ1_0' | 'TQ2_0', out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  const codes = new Int8Array(TERNARY_BLOCK)
  const { decode, size } = TERNARY_BLOCKS[type]
  for (let at = 0, o = 0; o < out.length; at += size, o += TERNARY_BLOCK) {
    decode(codes, 0, bytes, at)
    const d = halves[bytes[at + size - 2] | (bytes[at + size - 1] << 8)]
    for (let i = 0; i < TERNARY_BLOCK; i++) out[o + i] = codes[i] * d
  }
}
