/**
 * The public API of bitnet-ts: re-exports only. Inside the package, import from the modules.
 */
export type { ArithmeticEnergy, Technology } from './bench/energy.ts'
export type { MeterOptions } from './bench/pass-runner.ts'
export type { ShapeName } from './bench/shapes.ts'
export type { Summary } from './bench/statistics.ts'
export type { ColumnName, MemoryShares } from './compare/columns.ts'
export type { ComparedGroup, ContenderResult, ShapeOptions } from './compare/compare-contenders.ts'
export type { Latency, MeasureOptions, Throughput } from './compare/measure.ts'
export type { SpeculationGain } from './compare/speculation-gain.ts'
export type { LinearClass } from './convert/checkpoint-config.ts'
export type {
  DenseDifference,
  SettingDifference,
  TernaryDifference,
} from './convert/compare-weights.ts'
export type {
  CommonOptions,
  QuantizationSummary,
  TernarySummary,
  TypeSummary,
} from './convert/conversion.ts'
export type { CheckpointEmbedding } from './convert/convert-to-checkpoint.ts'
export type { GgufEmbedding } from './convert/convert-to-gguf.ts'
export type { WeightStorage } from './convert/gguf-metadata.ts'
export type {
  CheckpointConversionOptions,
  ComparisonOptions,
  ConversionLoss,
  ConversionProgress,
  ConversionReport,
  GgufConversionOptions,
  ModelComparison,
} from './convert/index.ts'
export type { BosRule, EncodingRules, TokenizationRule } from './eval/encode-request.ts'
export type {
  EvalJournal,
  EvalProgress,
  EvalSample,
  EvalSettings,
  TaskRunOptions,
} from './eval/evaluate.ts'
export type { FewShotSettings } from './eval/few-shot.ts'
export type { ItemResult, LeftOut, TaskMetrics } from './eval/metrics.ts'
export { type PerplexityOptions, type PerplexityReport, perplexity } from './eval/perplexity.ts'
export type { SequenceScore } from './eval/score-groups.ts'
export type { HubDataset } from './eval/task.ts'
export { evalTaskNames } from './eval/tasks/all-tasks.ts'
export type { DocumentRules } from './eval/text-documents.ts'
export type {
  ByteSource,
  GgufArray,
  GgufFile,
  GgufValue,
  MatrixOfStack,
  ModelFile,
  OpenedModel,
  SafetensorsFile,
  TensorInfo,
  TensorType,
  TernaryTensor,
  TokenizerFiles,
  UnreadTensor,
} from './formats/model-file.ts'
export {
  type OpenTernaryOptions,
  openTernary,
  type ScaleConvention,
} from './formats/ternary/index.ts'
export type { OpenSettings } from './generate/load/load-options.ts'
export { readConfig } from './model/config/read-config.ts'
export {
  type CompareShapesOptions,
  compareShapes,
  type ShapeComparison,
} from './node/compare/compare-shapes.ts'
export { compareFiles } from './node/convert/compare-files.ts'
export { type ConversionOptions, convertFile } from './node/convert/convert-file.ts'
export type { EnergyMeter, EnergySource } from './node/energy/energy-meter.ts'
export type { DatasetChoice, FetchDatasetFile } from './node/eval/datasets.ts'
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
export type { TokenizingProgress } from './node/train/token-file.ts'
export { type TrainOptions, train } from './node/train/train.ts'
export {
  type TokenizerReport,
  type TokenizerTrainingProgress,
  type TrainTokenizerOptions,
  trainTokenizer,
} from './node/train/train-tokenizer.ts'
export * from './portable.ts'
