/**
 * Flags that say which model is loaded, and how: those of the table of load options.
 */
import type { Command } from 'commander'
import {
  LOAD_OPTIONS,
  type LoadOption,
  type LoadSettings,
  loadOptions,
  type MemoryOptionName,
  namesOf,
} from '../../generate/load/load-options.ts'
import { choiceFlag, parseChoice, wholeNumber } from './flag-values.ts'

export interface ModelFlags extends LoadSettings {
  readonly model?: string
}

/** Adds -m, and how it is run. */
export function addModelFlags(command: Command): Command {
  return addLoadFlags(
    command.option(
      '-m, --model <model>',
      'name (see bitnet models), owner/name, .gguf, .safetensors or folder (default: embedded)',
    ),
  )
}

/** Adds a flag for each load option. */
export function addLoadFlags(command: Command): Command {
  for (const [, option] of loadOptions) addFlag(command, option, option.help)
  return command
}

/** Where a program runs that loads no model. */
export function addMachineFlags(command: Command): Command {
  for (const name of ['backend', 'isa', 'threads'] as const) {
    addFlag(command, LOAD_OPTIONS[name], LOAD_OPTIONS[name].help)
  }
  return command
}

/** Adds flags for options that change how much memory a model takes, in this order. */
export function addMemoryFlags(command: Command, names: readonly MemoryOptionName[]): Command {
  for (const name of names) addFlag(command, LOAD_OPTIONS[name], LOAD_OPTIONS[name].memoryHelp)
  return command
}

function addFlag(command: Command, { takes, flag }: LoadOption, help: string): void {
  const names = namesOf(takes)
  const text = help.replace('{names}', `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`)
  if (names.length > 0) command.addOption(choiceFlag(flag, text, names))
  else if (takes === 'switch') command.option(flag, text)
  else command.option(flag, text, parserOf(takes))
}

function parserOf(takes: LoadOption['takes']): (text: string) => unknown {
  if (takes === 'count') return wholeNumber({ min: 1 })
  return typeof takes === 'string' ? String : (text) => parseChoice(text, takes)
}

/** "kv=int8,head=f16": load options as flags have them, for where several choices are wanted. */
export function parseSettings(text: string): LoadSettings {
  // Those that choose between names first: they are what is compared.
  const known = loadOptions
    .filter(([, { takes }]) => takes !== 'switch')
    .sort(
      ([, a], [, b]) => Number(namesOf(b.takes).length > 0) - Number(namesOf(a.takes).length > 0),
    )
    .map(([name]) => name)
  const pairs = text.split(',').map((pair) => {
    const [key, value = ''] = pair.split('=')
    const name = parseChoice(key, known)
    return [name, parserOf(LOAD_OPTIONS[name].takes)(value)]
  })
  return Object.fromEntries(pairs) as LoadSettings
}
