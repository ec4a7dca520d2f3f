/**
 * How commands are made: flags, help and what they do, in the frame that all of them have.
 */
import type { Command } from 'commander'
import { CommandContext } from './command-context.ts'
import type { Surroundings } from './console/surroundings.ts'

export const JSON_HELP = 'print one JSON object, and nothing else, on standard output'

/** Of a command that has no flag of its own. */
export interface JsonFlag {
  readonly json?: boolean
}

interface CommandParts<F, A extends unknown[]> {
  /** Adds arguments and flags; `--json` comes behind them. */
  readonly flags?: (command: Command) => unknown
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
  examples,
  run: runIn,
}: CommandParts<F, A>): RunnableCommand<F, A> {
  const run = async (flags: F, surroundings: Surroundings, ...args: A): Promise<number> => {
    const context = new CommandContext(surroundings, 'json' in flags && flags.json === true)
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
      if (json !== false) command.option('--json', json)
      if (examples !== undefined) addExamples(command, examples)
      // Commander passes the arguments, then the flags, then itself.
      command.action(async (...given: [...A, F, Command]) => {
        const args = given.slice(0, -2) as A
        onExit(await run(given.at(-2) as F, surroundings, ...args))
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
      addExamples(group, examples)
      for (const [name, summary, { addTo }] of commands) {
        addTo(group.command(name).description(summary), surroundings, onExit)
      }
    },
  }
}

function addExamples(command: Command, examples: string): void {
  command.addHelpText('after', `\nExamples:\n${examples}`)
}
