/**
 * `bitnet compare A B`: given models side by side, or one with several settings, and, where it is asked
 * for, what they get right (--tasks) and what guessing tokens ahead gains (--speculate, --draft).
 */
import { costsOf } from '../../../bench/costs.ts'
import { memoryShares } from '../../../compare/columns.ts'
import {
  type ComparedGroup,
  type ContenderResult,
  compareContenders,
} from '../../../compare/compare-contenders.ts'
import type { Contender } from '../../../compare/contender.ts'
import type { MeasureOptions } from '../../../compare/measure.ts'
import { type Guesser, measureSpeculation } from '../../../compare/speculation-gain.ts'
import { UsageError } from '../../../errors.ts'
import { tasksNamed } from '../../../eval/tasks/all-tasks.ts'
import type { LoadedEngine } from '../../../generate/load/loading.ts'
import type { ShapeComparison } from '../../../node/compare/compare-shapes.ts'
import { type EnergySource, openEnergyMeter } from '../../../node/energy/energy-meter.ts'
import { evaluate } from '../../../node/eval/evaluate-on-disk.ts'
import type { CommandContext } from '../../command-context.ts'
import type { ModelFlags } from '../../flags/load-flags.ts'
import { refuseNearHead } from '../../flags/shared-flags.ts'
import { loadModels, type SpeculationFlags } from '../../flags/speculation-flags.ts'
import { STORY } from '../bench/bench-generation.ts'

export interface ModelComparisonFlags extends SpeculationFlags {
  /** Settings that each model runs with once more. */
  readonly also?: readonly ModelFlags[]
  /** Tasks of `bitnet eval`. */
  readonly tasks?: readonly string[]
  /** Items of each task. */
  readonly limit?: number
  readonly dataDir?: string
  /** What is continued with and without guesses; unset: {@link STORY}. */
  readonly prompt?: string
  /** Unset: 128. */
  readonly maxTokens?: number
  /** Unset: cpu. */
  readonly energy?: EnergySource
}

type Flags = ModelFlags & ModelComparisonFlags

/** One model with one choice of settings. */
interface Given {
  readonly name: string
  readonly flags: Flags
}

const DEFAULT_TOKENS = 128

/** Loads all of them, measures them in turns, then what text is needed for one after the other. */
export async function compareGivenModels(
  models: readonly string[],
  flags: Flags,
  options: MeasureOptions,
  context: CommandContext,
): Promise<ShapeComparison> {
  const given = models.flatMap((model) =>
    [{}, ...(flags.also ?? [])].map((settings) => givenModel(model, flags, settings)),
  )
  // A wrong name is better told before anything is measured.
  if (flags.tasks !== undefined) {
    tasksNamed(flags.tasks)
    for (const one of given) refuseNearHead(one.flags)
  }
  using meter = await openEnergyMeter(flags.energy ?? 'cpu')
  const { readJoules, counted: energyMeter } = meter
  const engines: LoadedEngine[] = []
  let group: ComparedGroup
  let backend: ShapeComparison['backend']
  try {
    for (const one of given) {
      engines.push(await context.loadEngine(one.flags))
    }
    // Writing an image would take from what is measured.
    for (const { kept } of engines) await kept
    checkContexts(engines, options)
    const contenders = engines.map((engine, i) => loadedContender(given[i].name, engine))
    group = await compareContenders('models', contenders, { ...options, readJoules })
    const { description, isa, threads } = engines[0].backend
    backend = { description, isa, threads }
  } finally {
    for (const engine of engines) await engine.dispose()
  }
  const results = [...group.results]
  for (const [i, one] of given.entries()) {
    results[i] = { ...results[i], ...(await measureText(one, options, context)) }
  }
  const { promptTokens, decodeTokens, runs, memoryLimit } = options
  const groups = [{ ...group, results }]
  return { backend, promptTokens, decodeTokens, runs, memoryLimit, energyMeter, groups }
}

function givenModel(model: string, flags: Flags, settings: ModelFlags): Given {
  const pairs = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  return { name: [model, ...pairs].join(' '), flags: { ...flags, ...settings, model } }
}

/** A model that is in memory already, under the name it was given by. */
function loadedContender(name: string, { backend, decoder, weights }: LoadedEngine): Contender {
  const costs = costsOf(decoder.config, weights, decoder.cacheBytesPerToken)
  return {
    name,
    costs,
    memory: memoryShares(costs, weights),
    // It stays in memory until all is done.
    open: () => Promise.resolve({ backend, decoder, dispose: () => {} }),
  }
}

/** Guesses and accuracy, as far as they are asked for. */
async function measureText(
  { name, flags }: Given,
  { runs, onStep }: MeasureOptions,
  context: CommandContext,
): Promise<Pick<ContenderResult, 'accuracy' | 'speculation'>> {
  const { tasks = [], dataDir, limit, speculate, draft, prompt = STORY } = flags
  const isGuessing = speculate === true || draft !== undefined
  if (tasks.length === 0 && !isGuessing) return {}
  const tell = (what: string): void => onStep?.(`${name}: ${what}`)
  await using models = await loadModels(flags, context)
  const { model } = models
  const { signal } = context
  await model.imageKept
  const guessers: Guesser[] = speculate === true ? ['lookup'] : []
  const drafting = models.optionsWith(signal).draft
  if (drafting !== undefined) guessers.push(drafting)
  const maxTokens = flags.maxTokens ?? DEFAULT_TOKENS
  const speculation = isGuessing
    ? await measureSpeculation(model, { guessers, prompt, maxTokens, runs, signal, onStep: tell })
    : []
  if (tasks.length === 0) return { speculation }
  const { results: accuracy } = await evaluate(model, tasks, {
    ...{ dataDir, limit, signal },
    onProgress: ({ task, items, totalItems }) => tell(`${task}, ${items} of ${totalItems}`),
  })
  return isGuessing ? { accuracy, speculation } : { accuracy }
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
