/**
 * The `bitnet` command: its subcommands, help and exit codes. Prints to the streams it is given and
 * never ends the process itself.
 */
import { Command, Help } from 'commander'
import { cleanText } from './console/clean-text.ts'
import { ERROR_PREFIX, reportFailure } from './console/failure.ts'
import { FRAME_TEXTS } from './console/frame-texts.ts'
import { EXIT, type Surroundings, USUAL_COLUMNS, widthOf } from './console/surroundings.ts'
import { writeLine, writeSoon } from './console/terminal.ts'
import { proseFor, wrapText } from './console/wrap.ts'
import { type CommandDefinition, formatExamples } from './define-command.ts'

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
  ['run', 'answer a prompt with a model, or talk with it', () => import('./commands/run/run.ts')],
  ['chat', 'talk with the model', () => import('./commands/chat/chat.ts')],
  [
    'serve',
    'serve models to clients of OpenAI and Ollama',
    () => import('./commands/serve/serve.ts'),
  ],
  [
    'worker',
    'work on batches that a server takes in, on any machine',
    () => import('./commands/worker/worker.ts'),
  ],
  [
    'batch',
    'answer a file of requests, and go on where it stopped',
    () => import('./commands/batch/batch.ts'),
  ],
  ['bench', 'measure speed and memory', () => import('./commands/bench/bench.ts')],
  [
    'compare',
    'the same architecture in FP16, int8 and ternary weights, side by side',
    () => import('./commands/compare/compare.ts'),
  ],
  ['train', 'train a ternary model on text', () => import('./commands/train/train.ts')],
  [
    'export',
    "write a run's checkpoint as a model for others",
    () => import('./commands/export/export.ts'),
  ],
  ['tokenizer', 'make a tokenizer from text', () => import('./commands/tokenizer/tokenizer.ts')],
  ['watch', 'show the curves of a training run', () => import('./commands/watch/watch.ts')],
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
  [
    'completion',
    'print a script that completes commands in bash, zsh or fish',
    () => import('./commands/completion/completion.ts'),
  ],
]

const EXAMPLES = `
Examples:
  $ bitnet generate "Once upon a time"        continue a text
  $ bitnet run bitnet-2b "Why is it dark?"    ask a capable model
  $ bitnet chat                               talk
  $ bitnet bench                              measure this machine
  $ bitnet compare --size 700m,3b             FP16, int8, ternary side by side
  $ bitnet train --data book.txt --out run    a ternary model from text
  $ bitnet embed -p "one text" "another"      vectors, and how near they are
  $ bitnet inspect model.gguf                 what is in a model file
  $ bitnet pull bitnet-2b                     fetch one that "models" lists
  $ bitnet doctor                             what runs here, and how fast
  $ bitnet convert folder/ model.gguf         safetensors to GGUF

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
Environment: BITNET_BACKEND, BITNET_ISA and BITNET_WEBGPU force what runs, NO_COLOR turns colours off, \
DEBUG=1 shows where an error came from.`

/** Runs one command line, without the program's name, and returns the exit code. */
export async function runCli(args: readonly string[], around: Surroundings): Promise<number> {
  const surroundings = { ...around, args }
  let exitCode: number = EXIT.ok
  const onExit = (code: number): void => {
    exitCode = code
  }
  const program = createProgram(surroundings)
  const wanted = wantedCommand(args)
  try {
    if (isVersionAsked(args)) {
      const { versionLines } = await import('./version.ts')
      await writeLine(surroundings.stdout, (await versionLines(widthOf(surroundings))).join('\n'))
      return EXIT.ok
    }
    for (const [name, summary, load] of COMMANDS) {
      const command = program.command(name).description(summary)
      // Completion tells of all the others.
      if (name === wanted || wanted === 'completion')
        (await load()).command.addTo(command, surroundings, onExit)
    }
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    return reportFailure(error, surroundings)
  }
}

/** Columns that a description needs beside its flag. */
const LEAST_COLUMNS = 24

/** A flag or command and what is said of it, which goes below it on narrow terminals. */
function formatItem(
  this: Help,
  term: string,
  termWidth: number,
  description: string,
  helper: Help,
): string {
  const { helpWidth = USUAL_COLUMNS } = helper
  if (helpWidth - termWidth - 4 >= LEAST_COLUMNS) {
    return Help.prototype.formatItem.call(this, term, termWidth, description, helper)
  }
  return [`  ${term}`, ...wrapText(`      ${description}`, helpWidth)].join('\n')
}

/** The first word that is no flag, or the one after `help`. */
function wantedCommand(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'))
  return first === 'help' ? second : first
}

function createProgram(surroundings: Surroundings): Command {
  const width = widthOf(surroundings) ?? USUAL_COLUMNS
  return framed('bitnet', surroundings)
    .description('The 1-bit LLM for TypeScript: run, chat with and measure BitNet b1.58 models.')
    .option('-V, --version', 'print version, build and kernels')
    .addHelpText('after', formatExamples(EXAMPLES, width))
}

/** A program of that name whose help and errors are those of all. */
export function framed(name: string, surroundings: Surroundings): Command {
  const { stdout, stderr, env } = surroundings
  const width = widthOf(surroundings) ?? USUAL_COLUMNS
  return new Command(name)
    .configureOutput({
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      writeOut: (text) => writeSoon(stdout, text),
      writeErr: (text) => stderr.write(proseFor(stderr, cleanText(text), env)),
      outputError: (text, write) =>
        write(ERROR_PREFIX + FRAME_TEXTS.en.usage(text.replace(/^error: /, ''))),
    })
    .configureHelp({
      showGlobalOptions: false,
      minWidthToWrap: LEAST_COLUMNS,
      // Choices are a part of the description, in its own words.
      optionDescription: ({ description }) => description,
      argumentDescription: ({ description }) => description,
      formatItem,
    })
    .showHelpAfterError(FRAME_TEXTS.en.helpHint)
    .exitOverride()
}

/** Before any command, whose own flags are another matter. */
function isVersionAsked([first]: readonly string[]): boolean {
  return first === '--version' || first === '-V' || first === 'version'
}
