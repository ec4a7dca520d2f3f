/** Conversion between model files, and their comparison. */

export { LINEAR_CLASSES } from './checkpoint-config.ts'
export { type ComparisonOptions, compareModels, type ModelComparison } from './compare-weights.ts'
export type {
  ConversionInput,
  ConversionLoss,
  ConversionProgress,
  ConversionReport,
  SideFile,
} from './conversion.ts'
export {
  CHECKPOINT_EMBEDDINGS,
  type CheckpointConversionOptions,
  convertToCheckpoint,
} from './convert-to-checkpoint.ts'
export { convertToGguf, GGUF_EMBEDDINGS, type GgufConversionOptions } from './convert-to-gguf.ts'
export { WEIGHT_STORAGES } from './gguf-metadata.ts'
