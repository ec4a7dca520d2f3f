/**
 * The public API of bitnet-ts for browsers: re-exports only. No module behind it imports node:*.
 */
export type { BrowserLoadOptions } from './browser/load-model.ts'
export { loadModel } from './browser/load-model.ts'
export type {
  KeepOptions,
  KeptModel,
  ModelStore,
  StoreOptions,
  StoreSpace,
} from './browser/store/open-store.ts'
export { openModelStore } from './browser/store/open-store.ts'
export type { TrainingText } from './browser/train/text-sources.ts'
export type { BrowserTrainOptions, BrowserTrainReport } from './browser/train/train.ts'
export { train } from './browser/train/train.ts'
export * from './portable.ts'
export type { TokenizerFile } from './train/data/run-tokenizer.ts'
