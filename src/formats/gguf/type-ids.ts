/**
 * The type ids of GGUF's tensor directory.
 *
 * Forks have given ids 36 to 43 different meanings, so an id alone proves nothing there: I2_S (36),
 * Q1_0 (41) and Q2_0 (42, with groups of 64 or of 128) are believed only when the tensor's span fits.
 * The second list names types that are known but not read, for messages.
 */
import type { TensorType } from '../model-file.ts'
import { BLOCK_SIZES, type BlockSize, I2_S_TAIL } from '../tensor-types.ts'

/** Ids of the types that are read and written. */
export const GGUF_TYPE_IDS = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q5_0: 6,
  Q8_0: 8,
  Q4_K: 12,
  Q6_K: 14,
  BF16: 30,
  TQ1_0: 34,
  TQ2_0: 35,
  I2_S: 36,
  Q1_0: 41,
  Q2_0: 42,
  Q2_0_128: 142,
} as const satisfies Partial<Record<TensorType, number>>

/** A type that GGUF can store. */
export type GgufTensorType = keyof typeof GGUF_TYPE_IDS

const TYPE_BY_ID = new Map(
  (Object.keys(GGUF_TYPE_IDS) as GgufTensorType[]).map((type) => [GGUF_TYPE_IDS[type], type]),
) as ReadonlyMap<number, GgufTensorType>

/** The type that an id means here; undefined for ids of types that are not read. */
export function typeById(id: number): GgufTensorType | undefined {
  return TYPE_BY_ID.get(id)
}

interface ForeignType extends BlockSize {
  readonly id: number
  readonly name: string
}

/** Types that other programs write; NaN bytes where the id does not tell the size. */
const FOREIGN_TYPES: readonly ForeignType[] = [
  { id: 3, name: 'Q4_1', elements: 32, bytes: 20 },
  { id: 7, name: 'Q5_1', elements: 32, bytes: 24 },
  { id: 9, name: 'Q8_1', elements: 32, bytes: 36 },
  { id: 10, name: 'Q2_K', elements: 256, bytes: 84 },
  { id: 11, name: 'Q3_K', elements: 256, bytes: 110 },
  { id: 13, name: 'Q5_K', elements: 256, bytes: 176 },
  { id: 15, name: 'Q8_K', elements: 256, bytes: 292 },
  { id: 16, name: 'IQ2_XXS', elements: 256, bytes: 66 },
  { id: 20, name: 'IQ4_NL', elements: 32, bytes: 18 },
  { id: 23, name: 'IQ4_XS', elements: 256, bytes: 136 },
  { id: 24, name: 'I8', elements: 1, bytes: 1 },
  { id: 25, name: 'I16', elements: 1, bytes: 2 },
  { id: 26, name: 'I32', elements: 1, bytes: 4 },
  { id: 27, name: 'I64', elements: 1, bytes: 8 },
  { id: 28, name: 'F64', elements: 1, bytes: 8 },
  { id: 36, name: 'IQ4_NL_4_4', elements: 32, bytes: 18 },
  { id: 39, name: 'MXFP4', elements: 32, bytes: 17 },
  { id: 134, name: 'IQ1_BN', elements: 64, bytes: 13 },
  { id: 135, name: 'IQ2_BN', elements: 64, bytes: 16 },
  { id: 143, name: 'PTQ1_0', elements: 128, bytes: 28 },
  { id: 38, name: 'TL1', elements: 1, bytes: Number.NaN },
  { id: 39, name: 'TL2', elements: 1, bytes: Number.NaN },
  { id: 40, name: 'NVFP4', elements: 1, bytes: Number.NaN },
]

/** Its names in other programs, "I32" or "MXFP4 or TL2"; undefined if it has none. */
export function foreignName(id: number): string | undefined {
  const names = FOREIGN_TYPES.filter((type) => type.id === id).map(({ name }) => name)
  return names.length > 0 ? names.join(' or ') : undefined
}

const SIZES: readonly ({ readonly name: string } & BlockSize)[] = [
  ...(Object.keys(GGUF_TYPE_IDS) as GgufTensorType[]).map((name) => ({
    name,
    ...BLOCK_SIZES[name],
  })),
  ...FOREIGN_TYPES,
]

/** ", the size of" the types whose bytes for `count` elements, padded, are those of `span`; or nothing. */
export function sizeNote(count: number, span: number, alignment: number): string {
  const fitting = SIZES.filter(({ name, elements, bytes }) => {
    const needed = (count / elements) * bytes + (name === 'I2_S' ? I2_S_TAIL : 0)
    return Math.ceil(needed / alignment) === Math.ceil(span / alignment)
  })
  return fitting.length > 0 ? `, the size of ${fitting.map(({ name }) => name).join(', ')}` : ''
}

/** Whether an id stands for one type of a known size, so that the size of others tells nothing. */
export function isCertain(id: number): boolean {
  const types = FOREIGN_TYPES.filter((type) => type.id === id)
  return types.length === 1 && !Number.isNaN(types[0].bytes)
}
