/** Ternary matrices out of files and into them. */
export { countZeros } from './code-words.ts'
export { encodeCodes, encodeTernary, i2sTail, storedScale, type TernaryStorage } from './encode.ts'
export {
  encodeWeightScale,
  packHf,
  packHfTensor,
  quantizationOf,
  type ScaleConvention,
  scaleConventionOf,
  scaleNameOf,
  widestScaleType,
} from './hf-packed.ts'
export { type OpenTernaryOptions, openTernary } from './open-ternary.ts'
export { ReadWindow } from './read-window.ts'
export { isTernaryAlready } from './scaled-rows.ts'
