/** Ternary matrices out of files and into them. */
export { countZeros } from './code-words.ts'
export { encodeTernary, storedScale, type TernaryStorage } from './encode.ts'
export { type ScaleConvention, scaleConventionOf } from './hf-packed.ts'
export { type OpenTernaryOptions, openTernary } from './open-ternary.ts'
export { packHf, packHfTensor } from './pack-hf.ts'
export { ReadWindow } from './read-window.ts'
export { isTernaryAlready } from './scaled-rows.ts'
export { encodeWeightScale, widestScaleType } from './weight-scale.ts'
