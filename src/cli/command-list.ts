/**
 * The subcommands: what help says of each, and how to load it. Only the one that is asked for is
 * imported, so that no command waits for the modules of the others.
 */
import type { Command } from 'commander'
import type { Surroundings } from './console/surroundings.ts'

/** From a command to a commander action, which returns nothing: its exit code is kept elsewhere. */
export type KeepExitCode = <A extends unknown[]>(
  run: (...args: [...A, Surroundings]) => Promise<number>,
) => (...args: A) => Promise<void>

export interface CommandEntry {
  readonly name: string
  readonly description: string
  /** Imports the command, and gives `command` its flags, help and action. */
  define(command: Command, keep: KeepExitCode): Promise<void>
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'generate',
    description: 'continue a text, or answer a conversation',
    async define(command, keep) {
      const { addGenerateCommand, runGenerate } = await import('./commands/generate/generate.ts')
      addGenerateCommand(command, (flags) => keep(runGenerate)(flags))
    },
  },
  {
    name: 'chat',
    description: 'talk with the model',
    async define(command, keep) {
      const { addChatCommand, runChat } = await import('./commands/chat/chat.ts')
      addChatCommand(command, (flags) => keep(runChat)(flags))
    },
  },
  {
    name: 'bench',
    description: 'measure speed and memory',
    async define(command, keep) {
      const { addBenchCommand, runBench } = await import('./commands/bench/bench.ts')
      addBenchCommand(command, (flags) => keep(runBench)(flags))
    },
  },
  {
    name: 'compare',
    description: 'the same architecture in FP16, int8 and ternary weights, side by side',
    async define(command, keep) {
      const { addCompareCommand, runCompare } = await import('./commands/compare/compare.ts')
      addCompareCommand(command, (models, flags) => keep(runCompare)(models, flags))
    },
  },
  {
    name: 'embed',
    description: 'turn texts into vectors, and compare them',
    async define(command, keep) {
      const { addEmbedCommand, runEmbed } = await import('./commands/embed/embed.ts')
      addEmbedCommand(command, (flags) => keep(runEmbed)(flags))
    },
  },
  {
    name: 'eval',
    description: 'measure accuracy on tasks',
    async define(command, keep) {
      const { addEvalCommand, runEval } = await import('./commands/eval/eval.ts')
      addEvalCommand(command, (flags) => keep(runEval)(flags))
    },
  },
  {
    name: 'perplexity',
    description: 'measure how well a model predicts a text',
    async define(command, keep) {
      const { addPerplexityCommand, runPerplexity } = await import(
        './commands/perplexity/perplexity.ts'
      )
      addPerplexityCommand(command, (file, flags) => keep(runPerplexity)(file, flags))
    },
  },
  {
    name: 'inspect',
    description: 'show what is in a model, here or at the hub',
    async define(command, keep) {
      const { addInspectCommand, runInspect } = await import('./commands/inspect/inspect.ts')
      addInspectCommand(command, (source, flags) => keep(runInspect)(source, flags))
    },
  },
  {
    name: 'pull',
    description: 'fetch a model into the cache',
    async define(command, keep) {
      const { addPullCommand, runPull } = await import('./commands/pull/pull.ts')
      addPullCommand(command, (name, flags) => keep(runPull)(name, flags))
    },
  },
  {
    name: 'models',
    description: 'list the models with short names',
    async define(command, keep) {
      const { addModelsCommand, runModels } = await import('./commands/models/models.ts')
      addModelsCommand(command, (flags) => keep(runModels)(flags))
    },
  },
  {
    name: 'cache',
    description: 'list, remove or check what was fetched',
    async define(command, keep) {
      const { addCacheCommand, runCache } = await import('./commands/cache/cache.ts')
      addCacheCommand(command, (action, names, flags) => keep(runCache)(action, names, flags))
    },
  },
  {
    name: 'doctor',
    description: 'show what runs on this machine, and how fast',
    async define(command, keep) {
      const { addDoctorCommand, runDoctor } = await import('./commands/doctor/doctor.ts')
      addDoctorCommand(command, (flags) => keep(runDoctor)(flags))
    },
  },
  {
    name: 'convert',
    description: 'write a model as GGUF or safetensors, or compare two',
    async define(command, keep) {
      const { addConvertCommand, runConvert } = await import('./commands/convert/convert.ts')
      addConvertCommand(command, (source, target, flags) => keep(runConvert)(source, target, flags))
    },
  },
]
