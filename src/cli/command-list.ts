/**
 * The subcommands: what help says of each, and how to load it. Only the one that is asked for is
 * imported, so that no command waits for the modules of the others.
 */
import type { CommandDefinition } from './define-command.ts'

type CommandEntry = readonly [
  name: string,
  summary: string,
  load: () => Promise<{ readonly command: CommandDefinition }>,
]

export const COMMANDS: readonly CommandEntry[] = [
  [
    'generate',
    'continue a text, or answer a conversation',
    () => import('./commands/generate/generate.ts'),
  ],
  ['chat', 'talk with the model', () => import('./commands/chat/chat.ts')],
  ['bench', 'measure speed and memory', () => import('./commands/bench/bench.ts')],
  [
    'compare',
    'the same architecture in FP16, int8 and ternary weights, side by side',
    () => import('./commands/compare/compare.ts'),
  ],
  ['embed', 'turn texts into vectors, and compare them', () => import('./commands/embed/embed.ts')],
  ['eval', 'measure accuracy on tasks', () => import('./commands/eval/eval.ts')],
  [
    'perplexity',
    'measure how well a model predicts a text',
    () => import('./commands/perplexity/perplexity.ts'),
  ],
  [
    'inspect',
    'show what is in a model, here or at the hub',
    () => import('./commands/inspect/inspect.ts'),
  ],
  ['pull', 'fetch a model into the cache', () => import('./commands/pull/pull.ts')],
  ['models', 'list the models with short names', () => import('./commands/models/models.ts')],
  ['cache', 'list, remove or check what was fetched', () => import('./commands/cache/cache.ts')],
  [
    'doctor',
    'show what runs on this machine, and how fast',
    () => import('./commands/doctor/doctor.ts'),
  ],
  [
    'convert',
    'write a model as GGUF or safetensors, or compare two',
    () => import('./commands/convert/convert.ts'),
  ],
]
