/**
 * `bitnet compare A B`: given models side by side, and, with --tasks, what they get right.
 */
import { costsOf } from '../bench/costs.ts'
import { weightMemory } from '../compare/columns.ts'
import { type ComparedGroup, compareContenders } from '../compare/compare.ts'
import type { Contender } from '../compare/contender.ts'
import type { MeasureOptions } from '../compare/measure.ts'
import { UsageError } from '../errors.ts'
import type { TaskMetrics } from '../eval/metrics.ts'
import { tasksNamed } from '../eval/tasks/all-tasks.ts'
import type { ShapeComparison } from '../node/compare-shapes.ts'
import { evaluate } from '../node/evaluate.ts'
import type { LoadedEngine } from '../node/load-engine.ts'
import { openPowerMeter } from '../node/power-meter.ts'
import { loadFlaggedEngine, loadFlaggedModel, type ModelFlags } from './generation-flags.ts'
import type { Surroundings } from './surroundings.ts'

export interface ModelComparisonFlags {
  /** Tasks of `bitnet eval`. */
  readonly tasks?: readonly string[]
  /** Items of each task. */
  readonly limit?: number
  readonly dataDir?: string
}

/** Loads all of them, measures them in turns, then evaluates one after the other. */
export async function compareGivenModels(
  models: readonly string[],
  flags: ModelFlags & ModelComparisonFlags,
  options: MeasureOptions,
  surroundings: Surroundings,
): Promise<ShapeComparison> {
  const { signal = new AbortController().signal } = options
  // A wrong name is better told before anything is measured.
  if (flags.tasks !== undefined) tasksNamed(flags.tasks)
  const meter = openPowerMeter()
  const readJoules = 'readJoules' in meter ? () => meter.readJoules() : undefined
  const energyMeter = 'reason' in meter ? meter : { counters: meter.description }
  const engines: LoadedEngine[] = []
  let group: ComparedGroup
  let backend: ShapeComparison['backend']
  try {
    for (const model of models) {
      engines.push(await loadFlaggedEngine({ ...flags, model }, surroundings, signal))
    }
    // Writing an image would take from what is measured.
    for (const { kept } of engines) await kept
    checkContexts(engines, options)
    const contenders = engines.map((engine, i) => loadedContender(models[i], engine))
    group = await compareContenders('models', contenders, { ...options, readJoules })
    const { description, isa, threads } = engines[0].backend
    backend = { description, isa, threads }
  } finally {
    for (const engine of engines) await engine.dispose()
  }
  const results = [...group.results]
  for (const [i, model] of flags.tasks === undefined ? [] : models.entries()) {
    const accuracy = await accuracyOf(model, flags, options, surroundings, signal)
    results[i] = { ...results[i], accuracy }
  }
  const { promptTokens, decodeTokens, runs, memoryLimit } = options
  const groups = [{ ...group, results }]
  return { backend, promptTokens, decodeTokens, runs, memoryLimit, energyMeter, groups }
}

/** A model that is in memory already, under the name it was given by. */
function loadedContender(name: string, { backend, decoder, weights }: LoadedEngine): Contender {
  const costs = costsOf(decoder.config, weights, decoder.cacheBytesPerToken)
  return {
    name,
    costs,
    memory: weightMemory(costs, weights),
    // It stays in memory until all is done.
    open: () => Promise.resolve({ backend, decoder, dispose: () => {} }),
  }
}

async function accuracyOf(
  source: string,
  { tasks = [], dataDir, limit, ...flags }: ModelFlags & ModelComparisonFlags,
  { onStep }: MeasureOptions,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Readonly<Record<string, TaskMetrics>>> {
  const model = await loadFlaggedModel({ ...flags, model: source }, surroundings, signal)
  try {
    const { results } = await evaluate(model, tasks, {
      ...{ dataDir, limit, signal },
      onProgress: ({ task, items, totalItems }) =>
        onStep?.(`${source}: ${task}, ${items} of ${totalItems}`),
    })
    return results
  } finally {
    await model.dispose()
  }
}

/** @throws UsageError before anything runs */
function checkContexts(engines: readonly LoadedEngine[], options: MeasureOptions): void {
  const positions = options.promptTokens + options.decodeTokens
  for (const { decoder } of engines) {
    const { contextLength, name } = decoder.config
    if (positions <= contextLength) continue
    throw new UsageError(
      `Expected at most ${contextLength} tokens, the context of ${name}, got ${positions}. ` +
        'Lower --prompt-tokens or --decode.',
    )
  }
}
