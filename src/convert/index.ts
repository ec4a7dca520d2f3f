/** Conversion between model files, and their comparison. */
export { type ComparisonOptions, compareModels, type ModelComparison } from './compare-weights.ts'
export type {
  ConversionInput,
  ConversionLoss,
  ConversionProgress,
  ConversionReport,
  SideFile,
} from './conversion.ts'
export {
  type CheckpointConversionOptions,
  convertToCheckpoint,
} from './convert-to-checkpoint.ts'
export { convertToGguf, type GgufConversionOptions } from './convert-to-gguf.ts'
