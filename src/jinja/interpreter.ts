/** What filters, tests and methods need of the interpreter. */
import type { Lookups } from './brace-format.ts'
import type { Surroundings } from './show.ts'
import type { Arguments, Value } from './values.ts'

export interface Interpreter extends Lookups {
  readonly run: Surroundings
  filter(name: string, value: Value, args: Arguments): Value
  test(name: string, value: Value, args: Arguments): boolean
}

export type Filter = (value: Value, args: Arguments, interpreter: Interpreter) => Value
