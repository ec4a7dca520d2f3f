export {
  BASE3_TILE,
  base3ByteLength,
  base3StripeByteLength,
  packBase3,
  packBase3Rows,
  unpackBase3,
} from './base3.ts'
export {
  type PackedTernary,
  packedByteLength,
  packRows,
  packTernary,
  padToTile,
  stripeByteLength,
  TILE,
  TILE_BYTES,
  unpackTernary,
  weightAt,
} from './pack.ts'
export {
  absmaxQuantize,
  absmeanCodes,
  absmeanQuantize,
  type QuantizedActivations,
  type QuantizedWeights,
  roundHalfEven,
  SCALE_FLOOR,
  signQuantize,
} from './quantize.ts'
