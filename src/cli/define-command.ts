/**
 * How commands are made: flags, help and what they do, in the frame that all of them have.
 */
import type { Command } from 'commander'
import { CommandContext } from './command-context.ts'
import { ERROR_PREFIX } from './console/failure.ts'
import { FRAME_TEXTS } from './console/frame-texts.ts'
import { LANGUAGES, type LanguageFlag, languageIn, languageOf } from './console/language.ts'
import { type Surroundings, USUAL_COLUMNS, widthOf } from './console/surroundings.ts'
import { columnsOf, wrapText, wrapWords } from './console/wrap.ts'
import { choiceFlag } from './flags/flag-values.ts'
import { withPlaces } from './flags/places.ts'

export const JSON_HELP = 'print one JSON object, and nothing else, on standard output'

/** Of a command that has no flag of its own. */
export interface JsonFlag {
  readonly json?: boolean
}

interface CommandParts<F, A extends unknown[]> {
  /** Adds arguments and flags; `--json` comes behind them. */
  readonly flags?: (command: Command) => unknown
  /** Adds --lang for what speaks several languages: "what the chat itself". Unset: all is in English. */
  readonly speaks?: string
  /** What help says of `--json`; false where the command has none, or defines it itself. */
  readonly json?: string | false
  /** Help behind the flags: a line each, then what else there is to say. */
  readonly examples?: string
  run(context: CommandContext, flags: F, ...args: A): Promise<void>
}

/** A command, or a group of them, to be added to a program. */
export interface CommandDefinition {
  /** Gives `command` its flags, help and action. */
  addTo(command: Command, surroundings: Surroundings, onExit: (code: number) => void): void
}

export interface RunnableCommand<F, A extends unknown[]> extends CommandDefinition {
  /** @returns the exit code */
  run(flags: F, surroundings: Surroundings, ...args: A): Promise<number>
}

export function defineCommand<F extends object, A extends unknown[] = []>({
  flags: addFlags,
  json = JSON_HELP,
  speaks,
  examples,
  run: runIn,
}: CommandParts<F, A>): RunnableCommand<F, A> {
  const run = async (flags: F, surroundings: Surroundings, ...args: A): Promise<number> => {
    const { lang } = flags as LanguageFlag
    const language = speaks === undefined ? 'en' : languageOf(lang, surroundings.env)
    const context = new CommandContext(surroundings, flags, language)
    try {
      await runIn(context, flags, ...args)
      return context.exitCode
    } finally {
      // Neither a status line nor a handler of Ctrl-C is left behind.
      context.end()
    }
  }
  return {
    run,
    addTo(command, surroundings, onExit) {
      addFlags?.(command)
      if (speaks !== undefined) addLanguage(command, speaks, surroundings)
      if (json !== false) command.option('--json', json)
      if (examples !== undefined) addExamples(command, examples, surroundings)
      // Commander passes the arguments, then the flags, then itself.
      command.action(async (...given: [...A, F, Command]) => {
        const [args, flags] = withPlaces(command, given.slice(0, -2) as A, given.at(-2) as F)
        onExit(await run(flags, surroundings, ...args))
      })
    },
  }
}

/** A command that has only commands of its own, each with its name and what help says of it. */
export function defineGroup(
  examples: string,
  commands: readonly (readonly [name: string, summary: string, CommandDefinition])[],
): CommandDefinition {
  return {
    addTo(group, surroundings, onExit) {
      addExamples(group, examples, surroundings)
      for (const [name, summary, { addTo }] of commands) {
        addTo(group.command(name).description(summary), surroundings, onExit)
      }
    },
  }
}

/** --lang, and wrong usage told in that language although the flags could not be read. */
function addLanguage(command: Command, what: string, surroundings: Surroundings): void {
  const text = `${what} speaks (default: the locale's)`
  command.addOption(choiceFlag('--lang <language>', text, LANGUAGES))
  const { helpHint, usage } =
    FRAME_TEXTS[languageOf(languageIn(surroundings.args), surroundings.env)]
  command.showHelpAfterError(helpHint).configureOutput({
    outputError: (text, write) => write(ERROR_PREFIX + usage(text.replace(/^error: /, ''))),
  })
}

function addExamples(command: Command, examples: string, surroundings: Surroundings): void {
  const width = widthOf(surroundings) ?? USUAL_COLUMNS
  command.addHelpText('after', formatExamples(`\nExamples:\n${examples}`, width))
}

/** Lines of at most `width` columns: what is said of a command goes below it, long ones are cut by `\\`. */
export function formatExamples(text: string, width: number): string {
  const lines = text.split('\n').flatMap((line) => {
    const [, command, comment] = /^( {2}\$ .*?)(?: {2,}(\S.*))?$/.exec(line) ?? []
    if (columnsOf(line) <= width) return [line]
    if (command === undefined) return wrapText(line, width)
    return [
      ...wrapWords(command.match(WORD) ?? [], width - CUT).map(
        (part, i, parts) =>
          (i === 0 ? '  ' : '      ') + part + (i + 1 < parts.length ? ' \\' : ''),
      ),
      ...(comment === undefined ? [] : wrapText(`      ${comment}`, width)),
    ]
  })
  return lines.join('\n')
}

/** Columns before and behind a part of a command that is cut. */
const CUT = '      '.length + ' \\'.length

/** A word of a shell, quotes and all. */
const WORD = /(?:"[^"]*"|'[^']*'|[^\s"'])+/g
