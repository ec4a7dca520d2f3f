/**
 * Codes from block types: I2_S, TQ1_0, TQ2_0. A range of rows is widened to whole blocks, decoded and
 * cut back, so that rows need not start at a block (I2_S runs through the matrix without a break).
 */
import { float16ToFloat32 } from '../../kernels/float16.ts'
import type { TensorInfo } from '../model-file.ts'
import { I2_S_BLOCK, I2_S_TAIL } from '../tensor-types.ts'
import { TERNARY_BLOCK, TERNARY_BLOCKS } from '../ternary-blocks.ts'
import { areAligned, codesToWeights } from './code-words.ts'
import { ReadWindow } from './read-window.ts'
import { illegalCode, tensorError } from './tensor-damage.ts'

/** Where codes come from; `readCodes` as in TernaryTensor, with its arguments checked already. */
export interface CodeReader {
  readonly scale: number
  readCodes(row: number, count: number, out: Int8Array): Promise<void>
  readonly readI2s?: ((row: number, count: number) => Promise<Uint8Array>) | undefined
}

interface BlockCodec {
  readonly elements: number
  readonly bytes: number
  /** Whole blocks into `out`, which starts at a multiple of four bytes; throws on illegal codes. */
  decode(out: Int8Array, blocks: Uint8Array): void
}

/** The float32 after the codes is the scale; the 28 bytes after it mean nothing and are not read. */
export async function openI2S(tensor: TensorInfo): Promise<CodeReader> {
  const end = tensor.offset + tensor.byteLength - I2_S_TAIL
  const tail = await tensor.source.read(tensor.ofStack?.tailOffset ?? end, 4)
  const scale = new DataView(tail.buffer, tail.byteOffset, 4).getFloat32(0, true)
  const codec: BlockCodec = {
    elements: I2_S_BLOCK,
    bytes: I2_S_BLOCK / 4,
    decode(out, blocks) {
      if (decodeI2S(out, blocks)) throw illegalCode(tensor)
    },
  }
  const readCodes = blockReader(tensor, codec)
  const rowBytes = tensor.shape[1] / 4
  if (tensor.shape[1] % I2_S_BLOCK !== 0) return { scale, readCodes }
  const readI2s = async (row: number, count: number) => {
    const { source, offset } = tensor
    const bytes = await source.read(offset + row * rowBytes, count * rowBytes)
    if (hasUnusedI2s(bytes)) throw illegalCode(tensor)
    return bytes
  }
  return { scale, readCodes, readI2s }
}

/** Whether one of the bytes' four codes is the unused 3; whole words, as rows are of 32 bytes. */
function hasUnusedI2s(bytes: Uint8Array): boolean {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  const words = new Uint32Array(whole.buffer, whole.byteOffset, whole.length >> 2)
  let unused = 0
  for (let w = 0; w < words.length; w++) unused |= words[w] & (words[w] >>> 1)
  return (unused & 0x55555555) !== 0
}

/**
 * Element 128 B + 32 g + p lies in byte 32 B + p, bits 7-2g..6-2g: a block is four planes of 32.
 *
 * @returns whether the unused code 3 occurred
 */
function decodeI2S(out: Int8Array, blocks: Uint8Array): boolean {
  const whole = areAligned(blocks, out) ? blocks : blocks.slice()
  const words = new Uint32Array(whole.buffer, whole.byteOffset, whole.length >> 2)
  const weights = new Int32Array(out.buffer, out.byteOffset, words.length * 4)
  let unused = 0
  for (let w = 0; w < words.length; w++) {
    const word = words[w]
    // Eight words of 32 bytes make a block of 32 words of weights.
    const to = (w >> 3) * 32 + (w & 7)
    unused |= word & (word >>> 1) & 0x55555555
    weights[to] = codesToWeights((word >>> 6) & 0x03030303)
    weights[to + 8] = codesToWeights((word >>> 4) & 0x03030303)
    weights[to + 16] = codesToWeights((word >>> 2) & 0x03030303)
    weights[to + 24] = codesToWeights(word & 0x03030303)
  }
  return unused !== 0
}

/**
 * TQ1_0 and TQ2_0 give each block a scale of its own. A tensor of one scale uses the same everywhere;
 * only its sign may differ, and a block without weights may carry any.
 */
export async function openTQ(tensor: TensorInfo, type: 'TQ1_0' | 'TQ2_0'): Promise<CodeReader> {
  const { size: bytes, decode: decodeBlock } = TERNARY_BLOCKS[type]
  const scale = await firstScale(tensor, type)
  const codec: BlockCodec = {
    elements: TERNARY_BLOCK,
    bytes,
    decode(out, blocks) {
      for (let at = 0, o = 0; at < blocks.length; at += bytes, o += TERNARY_BLOCK) {
        decodeBlock(out, o, blocks, at)
        const d = blockScale(blocks, at + bytes)
        if (d === scale) {
          if (type === 'TQ2_0' && hasUnusedCode(out, o)) throw illegalCode(tensor)
        } else rescale(tensor, out, o, d, scale)
      }
    },
  }
  return { scale, readCodes: blockReader(tensor, codec) }
}

function blockScale(bytes: Uint8Array, end: number): number {
  return float16ToFloat32(bytes[end - 2] | (bytes[end - 1] << 8))
}

function hasUnusedCode(codes: Int8Array, o: number): boolean {
  let max = 0
  for (let i = o; i < o + TERNARY_BLOCK; i++) max |= codes[i] & 2 & ~(codes[i] >> 1)
  return max !== 0
}

/** A block whose d is not the tensor's: turned round, emptied or refused. */
function rescale(tensor: TensorInfo, out: Int8Array, o: number, d: number, scale: number): void {
  const block = out.subarray(o, o + TERNARY_BLOCK)
  if (hasUnusedCode(out, o)) throw illegalCode(tensor)
  if (d === -scale) {
    for (let i = 0; i < block.length; i++) block[i] = -block[i]
  } else if (d === 0) {
    block.fill(0)
  } else if (block.some((code) => code !== 0)) {
    throw tensorError(
      tensor,
      `Expected one scale for the whole tensor "${tensor.name}", got ${scale} and ${d} in ` +
        `${tensor.source.name}. It was rounded to ternary block by block; convert the original ` +
        'checkpoint instead.',
    )
  }
}

/** |d| of the first block that has weights; 1 if there is none. */
async function firstScale(tensor: TensorInfo, type: 'TQ1_0' | 'TQ2_0'): Promise<number> {
  const { size, decode } = TERNARY_BLOCKS[type]
  const window = new ReadWindow(tensor, 1 << 18)
  const codes = new Int8Array(TERNARY_BLOCK)
  for (let at = 0; at < tensor.byteLength; at += size) {
    const block = await window.bytes(at, size)
    decode(codes, 0, block, 0)
    const d = Math.abs(blockScale(block, size))
    if (d !== 0 && codes.some((code) => code !== 0)) return d
  }
  return 1
}

function blockReader(tensor: TensorInfo, codec: BlockCodec): CodeReader['readCodes'] {
  const cols = tensor.shape[1]
  const window = new ReadWindow(tensor)
  return async (row, count, out) => {
    const from = row * cols
    const to = (row + count) * cols
    const first = Math.floor(from / codec.elements)
    const end = Math.ceil(to / codec.elements)
    const bytes = await window.bytes(first * codec.bytes, (end - first) * codec.bytes)
    const start = first * codec.elements
    const isWhole = start === from && end * codec.elements === to
    if (isWhole && out.byteOffset % 4 === 0) {
      codec.decode(out.subarray(0, to - from), bytes)
      return
    }
    const scratch = new Int8Array((end - first) * codec.elements)
    codec.decode(scratch, bytes)
    out.set(scratch.subarray(from - start, to - start))
  }
}
