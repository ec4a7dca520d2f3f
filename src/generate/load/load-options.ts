/**
 * The options of `loadModel`, one table: what each may be, and how the command line asks for it. Types,
 * checks, flags, their help, and what identifies results come from here; whoever reads an option finds
 * it in the options that reach it (openBackend, loadWeights, Decoder).
 */

import { BACKENDS } from '../../backends/backend.ts'
import { checkCounting, describe } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { CACHE_TYPES } from '../../kernels/storage.ts'
import { MATMUL_PRECISIONS } from '../../model/forward.ts'
import { HEAD_TYPES } from '../../model/weights/dense-weights.ts'

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
}

/** In the order of the help. The comments are those of {@link LoadOptions}. */
export const LOAD_OPTIONS = {
  /** Unset: BITNET_BACKEND in Node, else 'auto', which takes the first that runs here. */
  backend: {
    takes: ['auto', ...BACKENDS],
    flag: '--backend <name>',
    help: '{names} (default: auto)',
  },
  /** Forces a kernel variant, e.g. 'x86-avx2' or 'wasm-simd'. */
  isa: {
    takes: 'text',
    flag: '--isa <name>',
    help: 'kernel variant, e.g. x86-avx2 or wasm-simd',
  },
  /**
   * Precision of the head and embedding: 'f16' keeps the file's; 'int8' reads half the bytes; 'int4' a
   * quarter, and only the largest logits, some thousands, are those of 'int8'. Unset: 'int8' for large
   * vocabularies, else the file's.
   */
  head: {
    takes: HEAD_TYPES,
    flag: '--head <type>',
    help: 'precision of the output head: {names}',
    memoryHelp: 'for the memory: head as {names}',
    resultsOf: 'auto',
  },
  /**
   * Ternary weights in memory: 2 bits or 1.6 bits ('base3') each. Unset: 'auto', whichever this machine
   * multiplies faster, by a short measurement where there is a choice.
   */
  weights: {
    takes: ['auto', '2bit', 'base3'],
    flag: '--weights <packing>',
    help: 'ternary weights in memory: {names}',
    memoryHelp: 'for the memory: {names}',
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
  /** Threads; unset: the physical cores. */
  threads: {
    takes: 'count',
    flag: '--threads <count>',
    help: 'threads (default: the physical cores)',
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

type ValueOf<Takes> = Takes extends readonly (infer Name)[]
  ? Name
  : Takes extends 'count'
    ? number
    : Takes extends 'switch'
      ? boolean
      : string

/** The options that change how much memory a model takes. */
export type MemoryOptionName = {
  [Name in LoadOptionName]: (typeof LOAD_OPTIONS)[Name] extends { memoryHelp: string }
    ? Name
    : never
}[LoadOptionName]

/** What {@link LOAD_OPTIONS} describes. */
export type LoadSettings = {
  readonly [Name in LoadOptionName]?: ValueOf<(typeof LOAD_OPTIONS)[Name]['takes']>
}

/** The same where undefined counts as unset. */
export type OpenSettings = { readonly [Name in LoadOptionName]?: LoadSettings[Name] | undefined }

export interface LoadOptions extends LoadSettings {
  readonly onProgress?: (progress: LoadProgress) => void
  readonly signal?: AbortSignal
}

export interface LoadProgress {
  readonly loadedBytes: number
  readonly totalBytes: number
  /** The tensor being loaded. */
  readonly tensor: string
}

/** All rows with their names. */
export const loadOptions = Object.entries(LOAD_OPTIONS) as readonly [LoadOptionName, LoadOption][]

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

/**
 * Which backends there are depends on where this runs: whoever opens one refuses the others.
 *
 * @throws UsageError naming the first option that is none of its values
 */
export function checkLoadOptions(options: OpenSettings): void {
  for (const [name, { takes }] of loadOptions) {
    const value = options[name]
    if (value === undefined || name === 'backend') continue
    if (takes === 'count') checkCounting(name, value)
    const names = namesOf(takes)
    if (names.length === 0 || names.some((one) => one === value)) continue
    throw new UsageError(`Expected ${name} to be ${names.join(', ')}, got ${describe(value)}.`)
  }
}

/** Empty for what does not take one of several names. */
export function namesOf(takes: LoadOption['takes']): readonly string[] {
  return typeof takes === 'string' ? [] : takes
}
