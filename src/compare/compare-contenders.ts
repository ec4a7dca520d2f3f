/**
 * Side by side on this machine, as the papers' tables: the same architecture in FP16, int8 and ternary
 * weights over sizes, or given models. Memory and the arithmetic of energy are counted for all of them;
 * what does not fit the memory limit is not run, and says so.
 */
import type { Backend } from '../backends/backend.ts'
import { type ArithmeticEnergy, energyEstimates } from '../bench/energy.ts'
import { type ShapeName, shapeNamed, ternaryWeights } from '../bench/shapes.ts'
import { checkCounting } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { TaskMetrics } from '../eval/metrics.ts'
import type { OpenSettings } from '../generate/load/load-options.ts'
import { choosePacking } from '../model/weights/ternary-packing.ts'
import { type ColumnName, headShare, type MemoryShares, planColumn } from './columns.ts'
import { type Contender, columnContender, type RunningContender } from './contender.ts'
import {
  type Latency,
  largestBatch,
  type MeasureOptions,
  measureLatency,
  measureThroughput,
  neededBytes,
  type Throughput,
} from './measure.ts'
import type { SpeculationGain } from './speculation-gain.ts'

/** One contender's figures. */
export interface ContenderResult {
  readonly name: string
  readonly memory: MemoryShares
  /** Bytes of keys and values for one sequence of the comparison's length. */
  readonly cacheBytes: number
  /** Of the weights that a decoded token reads, those of the head. */
  readonly headShare: number
  readonly latency?: Latency
  readonly throughput?: Throughput
  /** Why it was not run. */
  readonly skipped?: string
  /** The papers' arithmetic for one token at the end of the prompt: no measurement. */
  readonly estimates: readonly ArithmeticEnergy[]
  /** Of trained models, by task. */
  readonly accuracy?: Readonly<Record<string, TaskMetrics>>
  /** Of trained models, by what guesses. */
  readonly speculation?: readonly SpeculationGain[]
}

/** What was measured against each other. */
export interface ComparedGroup {
  /** A size, "700m", or 'models'. */
  readonly title: string
  /** Weights in projections; absent for given models, which may differ. */
  readonly projectionWeights?: number
  /** False if their runs could not alternate, as memory did not hold all at once. */
  readonly interleaved: boolean
  readonly results: readonly ContenderResult[]
}

export interface ShapeOptions extends MeasureOptions, OpenSettings {
  readonly sizes: readonly ShapeName[]
  readonly columns: readonly ColumnName[]
}

/** Sizes one after the other, the columns of each against each other. */
export async function compareColumns(
  backend: Backend,
  options: ShapeOptions,
): Promise<ComparedGroup[]> {
  checkCounts(options)
  const groups: ComparedGroup[] = []
  for (const title of options.sizes) {
    const shape = shapeNamed(title)
    const projectionWeights = ternaryWeights(shape)
    const packing = await choosePacking(backend, options.weights ?? 'auto', projectionWeights)
    const { head, kv = 'f16' } = options
    const positions = options.promptTokens + options.decodeTokens
    const contenders = options.columns.map((name) =>
      columnContender(backend, planColumn(name, shape, positions, { head, packing, kv }), options),
    )
    groups.push({ projectionWeights, ...(await compareContenders(title, contenders, options)) })
  }
  return groups
}

export async function compareContenders(
  title: string,
  contenders: readonly Contender[],
  options: MeasureOptions,
): Promise<ComparedGroup> {
  checkCounts(options)
  const fits = (contender: Contender) => neededBytes(contender, options) <= options.memoryLimit
  const fitting = contenders.filter(fits)
  const all = fitting.reduce((sum, contender) => sum + neededBytes(contender, options), 0)
  const interleaved = all <= options.memoryLimit
  const latencies = new Map<Contender, Latency>()
  const throughputs = new Map<Contender, Throughput>()
  for (const group of interleaved ? [fitting] : fitting.map((contender) => [contender])) {
    await withOpened(group, title, options, async (running) => {
      const measured = await measureLatency(running, options)
      for (const [i, contender] of group.entries()) latencies.set(contender, measured[i])
      if (group.length === 1) throughputs.set(group[0], await throughputOf(group[0], running[0]))
    })
  }
  // Beside the others, a contender would not have the whole limit for its caches.
  for (const contender of fitting.filter((one) => !throughputs.has(one))) {
    await withOpened([contender], title, options, async ([running]) => {
      throughputs.set(contender, await throughputOf(contender, running))
    })
  }
  return {
    title,
    interleaved,
    results: contenders.map((contender) => {
      const latency = latencies.get(contender)
      const throughput = throughputs.get(contender)
      return {
        ...countedOf(contender, options),
        ...(fits(contender) ? {} : { skipped: skippedBecause(contender, options) }),
        ...(latency && { latency }),
        ...(throughput && { throughput }),
      }
    }),
  }

  async function throughputOf(contender: Contender, running: Opened): Promise<Throughput> {
    const batch = largestBatch(contender, options, running.contender.decoder.maxRows)
    options.onStep?.(`${running.name}: ${batch} sequences at once`)
    return measureThroughput(running.contender, batch, options)
  }
}

interface Opened {
  readonly name: string
  readonly contender: RunningContender
}

async function withOpened(
  contenders: readonly Contender[],
  title: string,
  options: MeasureOptions,
  use: (running: readonly Opened[]) => Promise<void>,
): Promise<void> {
  const running: Opened[] = []
  try {
    for (const contender of contenders) {
      const name = `${title} ${contender.name}`
      running.push({ name, contender: await contender.open(options) })
    }
    await use(running)
  } finally {
    for (const { contender } of running) contender.dispose()
  }
}

function countedOf(contender: Contender, options: MeasureOptions) {
  const { name, memory, costs } = contender
  const { promptTokens, decodeTokens } = options
  return {
    name,
    memory,
    cacheBytes: (promptTokens + decodeTokens) * memory.cacheBytesPerToken,
    headShare: headShare(costs),
    estimates: energyEstimates(costs, promptTokens),
  }
}

function skippedBecause(contender: Contender, options: MeasureOptions): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
  const needed = gigabytes(neededBytes(contender, options))
  return `needs ${needed}, the memory limit is ${gigabytes(options.memoryLimit)}`
}

/** @throws UsageError */
function checkCounts({ promptTokens, decodeTokens, runs, memoryLimit }: MeasureOptions): void {
  for (const [name, value] of Object.entries({ promptTokens, decodeTokens, runs })) {
    checkCounting(name, value)
  }
  if (!(memoryLimit > 0)) {
    throw new UsageError(`Expected memoryLimit to be a number of bytes, got ${memoryLimit}.`)
  }
}
