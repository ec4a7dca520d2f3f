/**
 * The `bitnet` command: its subcommands, help and exit codes. Prints to the streams it is given and
 * never ends the process itself.
 */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { reportFailure } from './console/failure.ts'
import { EXIT, type Surroundings } from './console/surroundings.ts'
import type { CommandDefinition } from './define-command.ts'

type CommandEntry = readonly [
  name: string,
  summary: string,
  load: () => Promise<{ readonly command: CommandDefinition }>,
]

/**
 * The subcommands: what help says of each, and how to load it. Only the one that is asked for is
 * imported, so that no command waits for the modules of the others.
 */
const COMMANDS: readonly CommandEntry[] = [
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

const EXAMPLES = `
Examples:
  $ bitnet generate -p "Once upon a time"     continue a text
  $ bitnet chat --system "You are kind."      talk
  $ bitnet bench                              measure this machine
  $ bitnet compare --size 700m,3b             FP16, int8 and ternary side by side
  $ bitnet embed -p "one text" "another"       vectors, and how near they are
  $ bitnet inspect model.gguf                 what is in a model file
  $ bitnet pull bitnet-2b                     fetch a model; bitnet models lists names
  $ bitnet doctor                             what runs here, and how fast
  $ bitnet convert folder/ model.gguf         safetensors to GGUF

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
Environment: BITNET_BACKEND and BITNET_ISA force what runs, NO_COLOR turns colours off,
DEBUG=1 shows where an error came from.`

/** Runs one command line, without the program's name, and returns the exit code. */
export async function runCli(args: readonly string[], surroundings: Surroundings): Promise<number> {
  let exitCode: number = EXIT.ok
  const onExit = (code: number): void => {
    exitCode = code
  }
  const program = createProgram(surroundings)
  const wanted = wantedCommand(args)
  try {
    for (const [name, summary, load] of COMMANDS) {
      const command = program.command(name).description(summary)
      if (name === wanted) (await load()).command.addTo(command, surroundings, onExit)
    }
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    return reportFailure(error, surroundings)
  }
}

/** The first word that is no flag, or the one after `help`. */
function wantedCommand(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'))
  return first === 'help' ? second : first
}

function createProgram({ stdout, stderr }: Surroundings): Command {
  return new Command('bitnet')
    .description('The 1-bit LLM for TypeScript: run, chat with and measure BitNet b1.58 models.')
    .version(packageVersion(), '--version', 'print the version')
    .addHelpText('after', EXAMPLES)
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
    })
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(add --help for the flags and examples)')
    .exitOverride()
}

function packageVersion(): string {
  // Two folders up both from src/cli/ and from dist/cli/.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
