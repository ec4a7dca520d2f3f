/**
 * Flags that several commands share: which model, what it runs on, and how tokens are drawn.
 */
import { type Command, InvalidArgumentError } from 'commander'
import type { GenerateOptions } from '../../generate/options.ts'
import { CACHE_TYPES } from '../../kernels/attention/layout.ts'
import type { CacheType } from '../../kernels/commands.ts'
import type { NodeLoadOptions } from '../../node/resolve-model.ts'
import { decimalNumber, wholeNumber } from './number-options.ts'

export interface ModelFlags {
  readonly model?: string
  readonly backend?: 'auto' | 'native' | 'wasm' | 'reference'
  readonly isa?: string
  readonly head?: 'f16' | 'int8' | 'int4'
  readonly weights?: 'auto' | '2bit' | 'base3'
  readonly kv?: CacheType
  readonly threads?: number
  readonly image?: boolean
}

/** What the sampling flags mean; the other options have flags of their own, or none. */
export type SamplingFlags = Omit<GenerateOptions, 'signal' | 'speculate' | 'draft'>

const LOAD_KEYS = ['backend', 'isa', 'head', 'weights', 'kv', 'threads', 'image'] as const
const SAMPLING_KEYS = [
  'maxTokens',
  'temperature',
  'topK',
  'topP',
  'minP',
  'repetitionPenalty',
  'frequencyPenalty',
  'presencePenalty',
  'seed',
  'stop',
] as const satisfies readonly (keyof SamplingFlags)[]

/** Adds -m, and how it is run. */
export function addModelFlags(command: Command): Command {
  return addRunFlags(
    command.option(
      '-m, --model <model>',
      'name (see bitnet models), owner/name, .gguf, .safetensors or folder (default: embedded)',
    ),
  )
}

/** Adds --backend, --isa, --head, --weights, --kv, --threads and --no-image. */
export function addRunFlags(command: Command): Command {
  return command
    .option('--backend <name>', 'auto, native, wasm or reference (default: auto)', parseBackend)
    .option('--isa <name>', 'kernel variant, e.g. x86-avx2 or wasm-simd')
    .option('--head <type>', 'precision of the output head: f16, int8 or int4', parseHead)
    .option('--weights <packing>', 'ternary weights in memory: auto, 2bit or base3', parsePacking)
    .option(
      '--kv <type>',
      'precision of the KV cache: f32, f16, int8 or int4 (default: f16)',
      parseKv,
    )
    .option('--threads <count>', 'threads (default: the physical cores)', wholeNumber({ min: 1 }))
    .option('--no-image', 'neither use nor keep a packed image of the weights')
}

/** Adds --max-tokens, the sampling flags, --seed and --stop. */
export function addSamplingFlags(command: Command): Command {
  return command
    .option(
      '-n, --max-tokens <count>',
      'most tokens to generate (default: 256)',
      wholeNumber({ min: 1 }),
    )
    .option('--temperature <value>', '0 takes the likeliest token', decimalNumber({ min: 0 }))
    .option('--top-k <count>', 'draw from the k likeliest; 0: all', wholeNumber({ min: 0 }))
    .option('--top-p <p>', 'draw from a share p; 1: all', decimalNumber({ above: 0, max: 1 }))
    .option('--min-p <p>', 'at least p times the likeliest', decimalNumber({ min: 0, below: 1 }))
    .option('--repetition-penalty <value>', '1: none', decimalNumber({ above: 0 }))
    .option('--frequency-penalty <value>', 'per earlier occurrence; 0: none', decimalNumber({}))
    .option('--presence-penalty <value>', 'if it occurred; 0: none', decimalNumber({}))
    .option('--seed <number>', 'repeats a text exactly', wholeNumber({ min: 0 }))
    .option('--stop <text>', 'ends before this text; may be given several times', collectStop)
}

export function generateOptions(flags: SamplingFlags, signal: AbortSignal): GenerateOptions {
  return { ...pick(flags, SAMPLING_KEYS), signal }
}

/** What the flags say to `loadModel`; unset ones stay out. */
export function loadOptions(flags: ModelFlags): NodeLoadOptions {
  return pick(flags, LOAD_KEYS)
}

/** The named fields of `from` that are there; unset ones stay out. */
function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  const entries = keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]])
  return Object.fromEntries(entries) as Pick<T, K>
}

function parseBackend(text: string): string {
  return parseChoice(text, ['auto', 'native', 'wasm', 'reference'])
}

/** "kv=int8,head=f16": settings of a model as flags have them, for where several are wanted. */
export function parseSettings(text: string): ModelFlags {
  const parsers: Readonly<Record<string, (value: string) => unknown>> = {
    backend: parseBackend,
    head: parseHead,
    weights: parsePacking,
    kv: parseKv,
    isa: String,
    threads: wholeNumber({ min: 1 }),
  }
  const pairs = text.split(',').map((pair) => {
    const [name, value = ''] = pair.split('=')
    return [name, parsers[parseChoice(name, Object.keys(parsers))](value)]
  })
  return Object.fromEntries(pairs) as ModelFlags
}

export function parseHead(text: string): 'f16' | 'int8' | 'int4' {
  return parseChoice(text, ['f16', 'int8', 'int4'])
}

export function parsePacking(text: string): 'auto' | '2bit' | 'base3' {
  return parseChoice(text, ['auto', '2bit', 'base3'])
}

export function parseKv(text: string): CacheType {
  return parseChoice(text, CACHE_TYPES)
}

/** One of the choices, as commander's `.choices` does, in the wording of our other messages. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((name) => name === text)
  if (choice === undefined) throw new InvalidArgumentError(`Expected one of ${choices.join(', ')}.`)
  return choice
}

function collectStop(text: string, earlier: readonly string[] = []): string[] {
  if (text === '') throw new InvalidArgumentError('Expected at least one character.')
  return [...earlier, text]
}
