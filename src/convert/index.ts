/** Conversion between model files, and their comparison. */
export { compareModels, type ModelComparison } from './compare.ts'
export {
  type ConversionInput,
  type ConversionLoss,
  type ConversionOptions,
  type ConversionProgress,
  type ConversionReport,
  convertToGguf,
} from './convert-to-gguf.ts'
