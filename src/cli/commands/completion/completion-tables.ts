/**
 * What completion knows of the commands, as the commands themselves say it.
 */
import type { Command, Option } from 'commander'
import { MODEL_ALIASES } from '../../../hub/aliases.ts'

/** What may stand in a place of a command line. */
export interface Completed {
  readonly values: readonly string[]
  readonly files: boolean
}

export interface CompletedFlag {
  /** "-n" and "--max-tokens". */
  readonly names: readonly string[]
  readonly summary: string
  /** Undefined where it takes no value. */
  readonly takes: (Completed & { readonly what: string }) | undefined
}

/** A command, or one of a group: "generate", "cache rm". */
export interface CompletedCommand {
  readonly name: string
  readonly summary: string
  readonly flags: readonly CompletedFlag[]
  readonly takes: Completed
  readonly commands: readonly CompletedCommand[]
}

export function describeCommand(command: Command): CompletedCommand {
  return {
    name: command.name(),
    summary: command.description(),
    flags: [
      ...command.options.map(describeFlag),
      { names: ['-h', '--help'], summary: 'display help for command', takes: undefined },
    ],
    takes: describeValue(
      command.registeredArguments.map((argument) => argument.name()).join(),
      command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    ),
    commands: command.commands.map(describeCommand),
  }
}

function describeFlag({ flags, short, long, description, argChoices }: Option): CompletedFlag {
  const [, what] = /[<[](.+)[\]>]/.exec(flags) ?? []
  return {
    names: [short, long].filter((name) => name !== undefined),
    summary: description,
    takes: what === undefined ? undefined : { what, ...describeValue(what, argChoices ?? []) },
  }
}

/** By what the help calls it. */
function describeValue(what: string, choices: readonly string[]): Completed {
  if (choices.length > 0) return { values: choices, files: false }
  const isModel = /model|source/.test(what)
  return {
    values: isModel ? MODEL_ALIASES.map(({ name }) => name) : [],
    files: isModel || /file|path|folder|target/.test(what),
  }
}
