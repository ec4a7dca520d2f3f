/**
 * --speculate and --draft: guessing several tokens ahead (docs/speculation.md).
 */
import type { Command } from 'commander'
import type { LanguageModel } from '../../generate/language-model.ts'
import type { GenerateOptions } from '../../generate/options.ts'
import type { CommandContext } from '../command-context.ts'
import { generateOptions, type SamplingFlags } from './generation-flags.ts'
import type { ModelFlags } from './load-flags.ts'

export interface SpeculationFlags {
  readonly speculate?: boolean
  readonly draft?: string
}

export function addSpeculationFlags(command: Command): Command {
  return command
    .option('--speculate', 'guess tokens from repetitions; the text stays the same')
    .option(
      '--draft <model>',
      'guess tokens with a smaller model of the same vocabulary: name, file or folder',
    )
}

/** A model, the draft that guesses for it if one was asked for, and options that use it. */
export interface LoadedModels extends AsyncDisposable {
  readonly model: LanguageModel
  /** @param sampling unset: that of the flags */
  optionsWith(signal: AbortSignal, sampling?: SamplingFlags): GenerateOptions
}

/**
 * Loads the models of the flags; both run on the same kind of backend.
 *
 * @param signal unset: Ctrl-C's
 */
export async function loadModels(
  flags: ModelFlags & SamplingFlags & SpeculationFlags,
  context: CommandContext,
  signal?: AbortSignal,
): Promise<LoadedModels> {
  const model = await context.loadModel(flags, signal)
  let draft: LanguageModel | undefined
  try {
    if (flags.draft !== undefined) {
      draft = await context.loadModel({ ...flags, model: flags.draft }, signal)
    }
  } catch (error) {
    await model.dispose()
    throw error
  }
  return {
    model,
    optionsWith: (signal, sampling = flags) => ({
      ...generateOptions(sampling, signal),
      ...(flags.speculate === undefined ? {} : { speculate: flags.speculate }),
      ...(draft === undefined ? {} : { draft }),
    }),
    async [Symbol.asyncDispose]() {
      await model.dispose()
      await draft?.dispose()
    },
  }
}
