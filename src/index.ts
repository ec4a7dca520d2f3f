/**
 * The public API of bitnet-ts: re-exports only. Inside the package, import from the modules.
 */
export type { Backend, BackendName } from './backends/backend.ts'
export type {
  ConversionLoss,
  ConversionProgress,
  ConversionReport,
  ModelComparison,
} from './convert/index.ts'
export {
  BackendError,
  BitnetError,
  ContextOverflowError,
  DownloadError,
  FormatError,
  ModelNotFoundError,
  ShapeError,
  UsageError,
} from './errors.ts'
export type {
  EvalJournal,
  EvalProgress,
  EvalSample,
  EvalSettings,
  TaskRunOptions,
} from './eval/evaluate.ts'
export type { ItemResult, TaskMetrics } from './eval/metrics.ts'
export { type PerplexityOptions, type PerplexityReport, perplexity } from './eval/perplexity.ts'
export { evalTaskNames } from './eval/tasks/all-tasks.ts'
export type {
  ByteSource,
  ModelFile,
  OpenedModel,
  TensorInfo,
  TernaryTensor,
} from './formats/model-file.ts'
export { type OpenTernaryOptions, openTernary } from './formats/ternary/index.ts'
export type {
  ChatOptions,
  ChatSession,
  EmbedOptions,
  LanguageModel,
  ModelMemory,
  Prompt,
} from './generate/language-model.ts'
export type { DownloadProgress, LoadOptions, LoadProgress } from './generate/load/load-options.ts'
export type {
  BackendReport,
  DraftModel,
  FinishReason,
  GenerateOptions,
  GenerateResult,
  Generation,
  SamplingOptions,
  SpeculationOptions,
  SpeculationReport,
  Timings,
  TokenLogprobs,
  TokenProbability,
  Usage,
} from './generate/options.ts'
export type { ModelConfig } from './model/config/config.ts'
export { readConfig } from './model/config/read-config.ts'
export type { ImageReport } from './model/weights/weight-images.ts'
export {
  type CompareShapesOptions,
  compareShapes,
  type ShapeComparison,
} from './node/compare/compare-shapes.ts'
export { compareFiles } from './node/convert/compare-files.ts'
export { type ConversionOptions, convertFile } from './node/convert/convert-file.ts'
export {
  type EvaluateOptions,
  type EvaluationReport,
  evaluate,
} from './node/eval/evaluate-on-disk.ts'
export {
  type ImageEntry,
  imageFolder,
  listImages,
  removeImages,
} from './node/images/image-folder.ts'
export { type ImageVerdict, verifyImages } from './node/images/image-store.ts'
export { loadModel } from './node/load-model.ts'
export { openModelFile } from './node/open-model.ts'
export { DEFAULT_MODEL } from './node/resolve-model.ts'
export * from './ternary/index.ts'
export type { ChatMessage, TextTokenizer, ToolCall } from './tokenizer/text-tokenizer.ts'
