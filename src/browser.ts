/**
 * The public API of bitnet-ts for browsers: re-exports only. No module behind it imports node:*.
 */
export type { Backend, BackendName } from './backends/backend.ts'
export { loadModel } from './browser/load-model.ts'
export {
  BackendError,
  BitnetError,
  ContextOverflowError,
  FormatError,
  ModelNotFoundError,
  ShapeError,
  UsageError,
} from './errors.ts'
export type {
  ChatOptions,
  ChatSession,
  LanguageModel,
  ModelMemory,
  Prompt,
} from './generate/language-model.ts'
export type { DownloadProgress, LoadOptions, LoadProgress } from './generate/load/load-options.ts'
export type {
  BackendReport,
  FinishReason,
  GenerateOptions,
  GenerateResult,
  Generation,
  SamplingOptions,
  Timings,
  TokenLogprobs,
  TokenProbability,
  Usage,
} from './generate/options.ts'
export type { ModelConfig } from './model/config/config.ts'
export * from './ternary/index.ts'
export type { ChatMessage, TextTokenizer, ToolCall } from './tokenizer/text-tokenizer.ts'
