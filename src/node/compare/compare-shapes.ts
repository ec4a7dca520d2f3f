/**
 * Comparisons of precisions as a library call: what `bitnet compare` does without models.
 */
import { freemem } from 'node:os'
import { openBackend } from '../../backends/select.ts'
import { shapeNames } from '../../bench/shapes.ts'
import { COLUMNS } from '../../compare/columns.ts'
import {
  type ComparedGroup,
  compareColumns,
  type ShapeOptions,
} from '../../compare/compare-contenders.ts'
import { LOAD_SETTINGS } from '../../generate/load/load-options.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  listOf,
  type OptionRules,
  oneOf,
  SIGNAL,
} from '../../option-checks.ts'
import {
  ENERGY_SOURCES,
  type EnergyMeter,
  type EnergySource,
  openEnergyMeter,
} from '../energy/energy-meter.ts'

/** Of the memory that is free: the rest is for activations, and for whoever else works here. */
const MEMORY_SHARE = 0.75

export type CompareShapesOptions = Partial<Omit<ShapeOptions, 'now' | 'readJoules'>> & {
  /** What joules are measured of, where they can be; unset: the processor. */
  readonly energy?: EnergySource
}

const COMPARE_OPTIONS: OptionRules<CompareShapesOptions> = {
  ...LOAD_SETTINGS,
  sizes: { ...listOf(shapeNames), also: ['size', 'shapes', 'models'] },
  columns: { ...listOf(COLUMNS), also: ['precisions', 'column', 'dtypes'] },
  promptTokens: { ...COUNT, also: ['prompt', 'n_prompt', 'prefill'] },
  decodeTokens: { ...COUNT, also: ['decode', 'n_gen', 'max_tokens'] },
  runs: { ...COUNT, also: ['repetitions', 'rounds'] },
  memoryLimit: {
    expected: 'a number of bytes',
    holds: (value) => typeof value === 'number' && value > 0,
  },
  energy: oneOf(ENERGY_SOURCES),
  onStep: FUNCTION,
  signal: SIGNAL,
}

export interface ShapeComparison {
  readonly backend: {
    readonly description: string
    readonly isa: string
    readonly threads: number
  }
  readonly promptTokens: number
  readonly decodeTokens: number
  readonly runs: number
  readonly memoryLimit: number
  readonly energyMeter: EnergyMeter['counted']
  readonly groups: readonly ComparedGroup[]
}

/** What is measured where options say nothing else. */
export function comparisonDefaults(): Pick<
  ShapeOptions,
  'promptTokens' | 'decodeTokens' | 'runs' | 'memoryLimit'
> {
  const memoryLimit = Math.floor(MEMORY_SHARE * freemem())
  return { promptTokens: 128, decodeTokens: 32, runs: 3, memoryLimit }
}

/**
 * Measures one architecture with random weights in FP16, int8 and ternary precision on this machine:
 * bytes, milliseconds, tokens per second, joules.
 *
 * Tables as in Ma et al. 2024, "The Era of 1-bit LLMs", table 1. Unset: 700m in fp16, int8 and b1.58, a
 * prompt of 128 tokens and 32 behind it, three runs, three quarters of the free memory.
 *
 * @throws UsageError | BackendError, or the signal's reason; nothing stays allocated then
 *
 * @example
 * const { groups } = await compareShapes({ sizes: ['1.3b'], columns: ['fp16', 'b1.58'] })
 * for (const { name, latency } of groups[0].results) console.log(name, latency?.decodeMs.mean)
 */
export async function compareShapes(options: CompareShapesOptions = {}): Promise<ShapeComparison> {
  checkOptions('compareShapes', options, COMPARE_OPTIONS)
  const { energy = 'cpu', ...rest } = options
  const measured = { ...comparisonDefaults(), ...rest }
  const backend = await openBackend(options)
  const meter = await openEnergyMeter(energy)
  try {
    const { description } = backend
    const { promptTokens, decodeTokens, runs, memoryLimit } = measured
    const groups = await compareColumns(backend, {
      ...measured,
      sizes: rest.sizes ?? ['700m'],
      columns: rest.columns ?? ['fp16', 'int8', 'b1.58'],
      readJoules: meter.readJoules,
    })
    return {
      backend: { description, isa: backend.isa, threads: backend.threads },
      ...{ promptTokens, decodeTokens, runs, memoryLimit, groups },
      energyMeter: meter.counted,
    }
  } finally {
    meter[Symbol.dispose]()
    await backend.dispose()
  }
}
