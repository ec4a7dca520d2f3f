/**
 * What both public entries have, in Node and in browsers: re-exports only.
 */

export type { BackendName, WasmSource } from './backends/backend.ts'
export type { JsonObject } from './checks.ts'
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
  AnswersOptions,
  BatchOptions,
  ChatOptions,
  ChatSession,
  ChatStateReport,
  EmbedOptions,
  LanguageModel,
  ModelFacts,
  ModelMemory,
  Prompt,
  StateReport,
} from './generate/language-model.ts'
export type {
  DownloadProgress,
  LoadOptions,
  LoadProgress,
  LoadSettings,
  ModelSource,
} from './generate/load/load-options.ts'
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
  TokenEvent,
  TokenLogprobs,
  TokenProbability,
  Usage,
} from './generate/options.ts'
export type { SchedulerStats } from './generate/schedule/schedule-statistics.ts'
export type {
  AnswerSchema,
  JsonSchema,
  SchemaCheck,
  SchemaValue,
  TypedSchema,
} from './generate/schema/answer-schema.ts'
export type { Activation } from './kernels/gated-activation/reference.ts'
export type { Experts, LocalAttention, ModelConfig } from './model/config/config.ts'
export type { RopeScaling } from './model/config/rope-scaling.ts'
export type { CacheStats } from './model/engine.ts'
export type { FfnZeros } from './model/ffn-zeros.ts'
export type { ImageReport } from './model/weights/weight-images.ts'
export type { Steps } from './steps.ts'
export * from './ternary/index.ts'
export type {
  ChatFormatOptions,
  ChatMessage,
  EncodeOptions,
  GivenMessage,
  TextPart,
  TextTokenizer,
  TokenStream,
  ToolCall,
  ToolDescription,
} from './tokenizer/text-tokenizer.ts'
export type { CodeShares, CodesSeen } from './train/code-look.ts'
export { DivergedError, type TrainEvent, type TrainReport } from './train/loop.ts'
export type { PresetName } from './train/presets.ts'
export type { RunSettings, StartEvent } from './train/settings.ts'
export type { OptimizerName, Precision, QuantMode, RecomputeMode } from './train/shape.ts'
