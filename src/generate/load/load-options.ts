/**
 * The options of `loadModel`, one table: what each may be, and how the command line asks for it. Types,
 * checks, flags, their help, and what identifies results come from here; whoever reads an option finds
 * it in the options that reach it (openBackend, loadWeights, Decoder).
 */

import { BACKENDS, type WasmSource } from '../../backends/backend.ts'
import { bytesOf, isA } from '../../checks.ts'
import { CACHE_TYPES } from '../../kernels/storage.ts'
import { MATMUL_PRECISIONS } from '../../model/forward.ts'
import { HEAD_TYPES } from '../../model/weights/dense-weights.ts'
import { SPARSE_CHOICES } from '../../model/weights/ffn-order.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  type OptionRule,
  type OptionRules,
  oneOf,
  SIGNAL,
  SWITCH,
  TEXT,
} from '../../option-checks.ts'

/** A row of {@link LOAD_OPTIONS}. */
export interface LoadOption {
  /** One of several names, a whole number from 1 on, any text, or yes and no. */
  readonly takes: readonly string[] | 'count' | 'text' | 'switch'
  /** As commander reads it. */
  readonly flag: string
  /** What the help of commands that run a model says; {names} stands for what the option takes. */
  readonly help: string
  /** The same of `bitnet inspect`, for options that change how much memory a model takes. */
  readonly memoryHelp?: string
  /** For options that change results: what counts where the option is unset. */
  readonly resultsOf?: string
  /** What it is called elsewhere. */
  readonly also?: readonly string[]
}

/** In the order of the help. The comments are those of {@link LoadOptions}. */
export const LOAD_OPTIONS = {
  /** Unset: BITNET_BACKEND in Node, else 'auto', which takes the first that runs here. */
  backend: {
    takes: ['auto', ...BACKENDS],
    flag: '--backend <name>',
    help: '{names} (default: auto)',
    also: ['device', 'provider', 'execution_provider'],
  },
  /** Forces a kernel variant, e.g. 'x86-avx2' or 'wasm-simd'. */
  isa: {
    takes: 'text',
    flag: '--isa <name>',
    help: 'kernel variant, e.g. x86-avx2 or wasm-simd (default: the fastest)',
    also: ['variant', 'kernel', 'instruction_set'],
  },
  /**
   * Precision of the head and embedding: 'f16' keeps the file's; 'int8' reads half the bytes; 'int4' a
   * quarter, and only the largest logits, some thousands, are those of 'int8'. Unset: 'int8' for large
   * vocabularies, else the file's.
   */
  head: {
    takes: HEAD_TYPES,
    flag: '--head <type>',
    help: "precision of the output head: {names} (default: int8 for large vocabularies, else the file's)",
    memoryHelp: 'for the memory: head as {names}',
    resultsOf: 'auto',
    also: ['lm_head', 'head_type', 'output_type'],
  },
  /**
   * Ternary weights in memory: 2 bits or 1.6 bits ('base3') each. Unset: 'auto', whichever this machine
   * multiplies faster, by a short measurement where there is a choice.
   */
  weights: {
    takes: ['auto', '2bit', 'base3'],
    flag: '--weights <packing>',
    help: 'ternary weights in memory: {names} (default: auto)',
    memoryHelp: 'for the memory: {names}',
    also: ['packing', 'weight_type'],
  },
  /**
   * Leave out what is exactly 0 in the feed-forward: rows whose gate is not positive, columns whose input is 0.
   * Results are the same bits. Unset: 'auto', where the model's activation is relu² and the backend gains by it.
   */
  sparse: {
    takes: SPARSE_CHOICES,
    flag: '--sparse <when>',
    help: 'leave out what is exactly 0 in the feed-forward: {names} (default: auto)',
    memoryHelp: 'for the memory: {names}',
    also: ['sparsity', 'activation_sparsity'],
  },
  /**
   * Precision of keys and values. Unset: 'f16'. 'f32' is for comparisons with float32 results; 'int8' and 'int4' are
   * for long contexts, docs/performance.md has what they cost.
   */
  kv: {
    takes: CACHE_TYPES,
    flag: '--kv <type>',
    help: 'precision of the KV cache: {names} (default: f16)',
    memoryHelp: 'for the memory: {names} (default: f16 and int8)',
    resultsOf: 'f16',
    also: ['kv_cache', 'kv_type', 'kv_cache_type', 'cache_type', 'type_k', 'type_v'],
  },
  /**
   * Products with f16 weights, those of dense models and of an f16 head: 'high' rounds their inputs to 13
   * bits, 'highest' keeps all of float32, slower, for comparisons with float32 results. Unset: 'high'.
   */
  matmulPrecision: {
    takes: MATMUL_PRECISIONS,
    flag: '--matmul-precision <level>',
    help: 'products with f16 weights: {names} (default: high)',
    resultsOf: 'high',
  },
  /**
   * MiB that keys and values of all sequences together may take. Unset: a quarter of the machine's memory with the
   * native backend, 1024 with others, or what one sequence as long as the context takes where that is more.
   */
  cacheMemory: {
    takes: 'count',
    flag: '--cache-memory <MiB>',
    help: "memory for the KV cache of all sequences, in MiB (default: a quarter of the machine's)",
    also: ['cache_size', 'kv_cache_memory', 'kv_cache_size', 'max_cache_memory'],
  },
  /** Threads; unset: the physical cores. */
  threads: {
    takes: 'count',
    flag: '--threads <count>',
    help: 'threads (default: the physical cores)',
    also: ['num_threads', 'n_threads', 'thread_count'],
  },
  /**
   * In Node, keep packed weights in the cache and map them at the next start, which is then ready in a
   * fraction of the time, and shared by all processes with this model; see docs/performance.md. Unset:
   * true, unless BITNET_IMAGE=0.
   */
  image: {
    takes: 'switch',
    flag: '--no-image',
    help: 'neither use nor keep a packed image of the weights',
  },
} as const satisfies Readonly<Record<string, LoadOption>>

type LoadOptionName = keyof typeof LOAD_OPTIONS

/** The options that change how much memory a model takes. */
export type MemoryOptionName = {
  [Name in LoadOptionName]: (typeof LOAD_OPTIONS)[Name] extends { memoryHelp: string }
    ? Name
    : never
}[LoadOptionName]

/** What {@link LOAD_OPTIONS} describes. */
export type LoadSettings = {
  readonly [Name in keyof typeof LOAD_OPTIONS]?: (typeof LOAD_OPTIONS)[Name]['takes'] extends infer Takes
    ? Takes extends readonly (infer Value)[]
      ? Value
      : Takes extends 'count'
        ? number
        : Takes extends 'switch'
          ? boolean
          : string
    : never
}

/** The same where undefined counts as unset. */
export type OpenSettings = {
  readonly [Name in keyof LoadSettings]?: LoadSettings[Name] | undefined
}

export interface LoadOptions extends LoadSettings {
  /**
   * Where the WebAssembly modules are if a bundler has not copied them: the address of the folder
   * `dist/backends/wasm` of this package, or of its copy, with a "/" at the end; or one of its modules, by
   * address or as bytes, which is then the one that runs. Only for the WebAssembly backend; what is named
   * here is never passed over for a slower one.
   */
  readonly wasm?: WasmSource
  readonly onProgress?: (progress: LoadProgress) => void
  /** Told while a model that is not in the cache is fetched. Browsers, which keep none, never call it. */
  readonly onDownload?: (progress: DownloadProgress) => void
  readonly signal?: AbortSignal
}

/**
 * A path (in Node) or an address (in browsers, relative to the page); a model's name, as an alias,
 * "owner/name" or "hf:owner/name:file@revision"; a URL; the bytes of a GGUF file; or a File or other Blob
 * with such bytes.
 */
export type ModelSource = string | URL | Blob | Uint8Array | ArrayBuffer

export interface LoadProgress {
  readonly loadedBytes: number
  readonly totalBytes: number
  /** The tensor being loaded. */
  readonly tensor: string
}

export interface DownloadProgress {
  readonly state: 'waiting' | 'downloading' | 'verifying'
  /** The file being fetched. */
  readonly file: string
  /** Of all files, what an earlier attempt left included. */
  readonly doneBytes: number
  readonly totalBytes: number
  /** Over the last seconds; 0 until something has come. */
  readonly bytesPerSecond: number
  /** Undefined while the speed is unknown. */
  readonly secondsLeft: number | undefined
}

/** All rows with their names. */
export const loadOptions = Object.entries(LOAD_OPTIONS) as readonly [LoadOptionName, LoadOption][]

/** The rows as other objects of options take them that have them among theirs. */
export const LOAD_SETTINGS = Object.fromEntries(
  loadOptions.map(([name, { takes, also = [] }]) => [name, { ...ruleOf(takes), also }]),
) as OptionRules<LoadSettings>

function ruleOf(takes: LoadOption['takes']): OptionRule {
  if (takes === 'count') return COUNT
  if (takes === 'text') return TEXT
  return takes === 'switch' ? SWITCH : oneOf(takes)
}

const LOAD: OptionRules<LoadOptions> = {
  ...LOAD_SETTINGS,
  wasm: {
    expected: 'the address of a folder or a WebAssembly module, or bytes of one',
    holds: (value) =>
      (typeof value === 'string' && value !== '') ||
      isA('URL', value) ||
      bytesOf(value) !== undefined,
    takesText: true,
    also: ['wasm_url', 'wasm_path', 'wasm_paths', 'wasm_binary', 'wasm_module', 'locate_file'],
  },
  onProgress: { ...FUNCTION, also: ['progress', 'progress_callback', 'on_load'] },
  onDownload: { ...FUNCTION, also: ['download_progress'] },
  signal: SIGNAL,
}

/** The load options that are set, whatever else `from` has. */
export function pickLoadSettings(from: OpenSettings): LoadSettings {
  const set = loadOptions.flatMap(([name]) =>
    from[name] === undefined ? [] : [[name, from[name]]],
  )
  return Object.fromEntries(set) as LoadSettings
}

/** What results depend on, as short texts in a fixed order; the other options give the same bits. */
export function resultSettings(from: LoadSettings): string[] {
  return loadOptions.flatMap(([name, { resultsOf }]) =>
    resultsOf === undefined ? [] : [String(from[name] ?? resultsOf)],
  )
}

/** @throws UsageError naming the first option that there is not, or that is none of its values */
export function checkLoadOptions(options: OpenSettings): void {
  checkOptions<OpenSettings>('loadModel', options, LOAD)
}

/** Empty for what does not take one of several names. */
export function namesOf(takes: LoadOption['takes']): readonly string[] {
  return typeof takes === 'string' ? [] : takes
}
