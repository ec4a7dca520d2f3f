/** How numbers are stored: native code knows each of these by its place in its list. */

/** Dense matrices; see dense-matmul/layout.ts. */
export const DENSE_TYPES = ['f32', 'f16', 'int8', 'int4'] as const
export type DenseType = (typeof DENSE_TYPES)[number]

/** 2 bits a weight (ternary/pack.ts), or 1.6 bits, five weights a byte (ternary/base3.ts). */
export const TERNARY_PACKINGS = ['2bit', 'base3'] as const
export type TernaryPacking = (typeof TERNARY_PACKINGS)[number]

/** Keys and values, the most precise first; see attention/layout.ts. */
export const CACHE_TYPES = ['f32', 'f16', 'int8', 'int4'] as const
export type CacheType = (typeof CACHE_TYPES)[number]

/** Values that pack-dense reads. */
export const VALUES_TYPES = ['f32', 'f16', 'bf16'] as const
export type ValuesType = (typeof VALUES_TYPES)[number]

/** Ternary codes before they are packed: one a byte, or a file's own I2_S bytes, four codes each. */
export const CODES_TYPES = ['int8', 'i2s'] as const
export type CodesType = (typeof CODES_TYPES)[number]
