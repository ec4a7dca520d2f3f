/** What serving and working on batches have in common: models by their names, a log, and an end. */
import { basename } from 'node:path'
import type { Command } from 'commander'
import { pino } from 'pino'
import { UsageError } from '../../../errors.ts'
import { EMBEDDED } from '../../../node/resolve-model.ts'
import type { LogEntry, ServedModel } from '../../../server/options.ts'
import type { CommandContext } from '../../command-context.ts'
import { cleanJson } from '../../console/clean-text.ts'
import { choiceFlag } from '../../flags/flag-values.ts'
import { addLoadFlags, type ModelFlags } from '../../flags/load-flags.ts'

export interface ServedFlags extends Omit<ModelFlags, 'model'> {
  readonly model?: readonly string[]
  readonly log?: (typeof LEVELS)[number]
}

const LEVELS = ['prompts', 'info', 'warn', 'error', 'silent'] as const
/** Lines of batches at a time. */
export const MOST_LINES = 256

export function addServedFlags(command: Command): Command {
  command.option('-m, --model <model...>', 'models, by any name that -m takes (default: embedded)')
  return addLoadFlags(command).addOption(
    choiceFlag(
      '--log <level>',
      'info (each request), prompts (and what was said), warn, error or silent (default: warn)',
      LEVELS,
    ),
  )
}

/**
 * @returns the models by their names, the first of them loaded
 * @throws UsageError if two would have one name
 */
export async function servedModels(context: CommandContext, flags: ServedFlags) {
  const [first, ...others] = (flags.model ?? [undefined]).map((source): ServedModel => {
    const id =
      source === undefined ? EMBEDDED : basename(source).replace(/\.(gguf|safetensors)$/, '')
    const { model: _, ...load } = flags
    const named = { ...load, ...(source ? { model: source } : {}) }
    return { id, load: (signal) => context.loadModel(named, signal) }
  })
  const ids = [first, ...others].map(({ id }) => id)
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) {
    throw new UsageError(`Expected models of different names, got "${twice}" twice.`)
  }
  const model = await first.load(context.signal)
  return { first: model, served: [{ ...first, load: once(model, first.load) }, ...others] }
}

/** Gives what is loaded already, the first time. */
function once<A, T>(value: T, then: (argument: A) => Promise<T>): (argument: A) => Promise<T> {
  let given = false
  return async (argument) => {
    if (given) return then(argument)
    given = true
    return value
  }
}

/** A JSON object a line on standard error. */
export function logTo({ stderr }: CommandContext, level: ServedFlags['log'] = 'warn') {
  const settings = {
    level: level === 'prompts' ? 'info' : level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  const logger = pino(settings, { write: (line: string) => stderr.write(cleanJson(line)) })
  return ({ level: own, event, ...facts }: LogEntry): void => logger[own](facts, event)
}

/** Waits for Ctrl-C, then for `stop`, or for a second one. */
export function untilInterrupted(
  context: CommandContext,
  stop: () => Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isStopping = false
    context.onInterrupt(() => {
      if (isStopping) {
        resolve()
        return
      }
      isStopping = true
      context.status.show('Finishing what runs; once more to stop at once')
      stop().then(resolve, reject)
    })
  })
}
