/**
 * Places on a disk that a command line names. Most shells leave "~" as it is behind "=" and within quotation marks,
 * and those of Windows always: nothing would be found there, and a folder called "~" be written.
 */
import type { Command } from 'commander'
import { expandHome } from '../../node/files/folders.ts'

/** How help calls the values that are places, or may be. */
const PLACES: ReadonlySet<string> = new Set(
  'file files folder path paths model models source target input json|file'.split(' '),
)
/** The value of a flag, as help has it: `--data <paths...>`. */
const VALUE = /[<[]([\w|]+)(?:\.\.\.)?[>\]]$/

/** The arguments and flags of a command, with the home folder in place of "~". */
export function withPlaces<A extends unknown[], F extends object>(
  command: Command,
  args: A,
  flags: F,
): [A, F] {
  const expanded = command.registeredArguments.map((argument, i) => {
    return PLACES.has(argument.name()) ? withHome(args[i]) : args[i]
  }) as A
  const entries = Object.entries(flags).map(([name, value]) => {
    const option = command.options.find((one) => one.attributeName() === name)
    const isPlace = PLACES.has(VALUE.exec(option?.flags ?? '')?.[1] ?? '')
    return [name, isPlace ? withHome(value) : value]
  })
  return [expanded, Object.fromEntries(entries)]
}

/** A place, or a list of them, with the home folder in place of "~". */
export function withHome(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withHome)
  return typeof value === 'string' ? expandHome(value) : value
}
