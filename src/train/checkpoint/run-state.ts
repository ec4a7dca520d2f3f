/** What a checkpoint says of its run. */
import { isObject, type JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { parseObject } from '../../formats/json-text.ts'
import { type RunState, STATE_FILE } from './checkpoint.ts'

/** @throws FormatError if it is no state of a run */
export function readRunState(
  text: string,
  path: string,
): { readonly state: RunState; readonly settings: JsonObject } {
  const { state, settings } = parseObject(text) ?? {}
  if (isRunState(state) && isObject(settings)) return { state, settings }
  throw new FormatError(
    `Expected ${path} to tell where the run was. Choose a folder that bitnet train wrote.`,
    { field: STATE_FILE, path },
  )
}

function isRunState(value: unknown): value is RunState {
  if (!isObject(value) || !isObject(value['cursor'])) return false
  const { taken, ofSource } = value['cursor']
  const numbers = [value['step'], value['steps'], taken, value['seconds']]
  const loss = value['heldOutLoss']
  if (loss !== undefined && !Number.isFinite(loss)) return false
  return numbers.every((number) => Number.isFinite(number)) && Array.isArray(ofSource)
}
