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
