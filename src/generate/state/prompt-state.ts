/**
 * Saved states of a model: what it has computed of a text, for a process that comes later.
 */
import { bytesOf, isWhole } from '../../checks.ts'
import { fail } from '../../option-checks.ts'
import { takingTurns } from '../../turns.ts'
import type { Prompt, StateReport } from '../language-model.ts'
import { encodePrompt } from '../prompt.ts'
import type { Runtime } from '../schedule/runtime.ts'
import { saveState, takeState } from './save-state.ts'
import { readState, type SavedState } from './state-file.ts'

/** @throws UsageError for what is no prompt and no list of token ids of the model */
export async function savePrompt(
  runtime: Runtime,
  of: Prompt | readonly number[],
): Promise<Uint8Array> {
  runtime.assertUsable()
  const { vocabSize } = runtime.engine.config
  if (!isIds(of)) {
    return saveTokens(runtime, await takingTurns(encodePrompt(runtime.tokenizer, of)))
  }
  const wrong = of.find((id) => !isWhole(id, 0, vocabSize - 1))
  if (wrong !== undefined) fail('the tokens', `ids from 0 to ${vocabSize - 1}`, wrong)
  return saveTokens(runtime, of)
}

function isIds(of: Prompt | readonly number[]): of is readonly number[] {
  return Array.isArray(of) && of.length > 0 && of.every((one) => typeof one === 'number')
}

/** @param note anything of JSON */
export function saveTokens(
  runtime: Runtime,
  tokens: readonly number[],
  note?: unknown,
): Promise<Uint8Array> {
  const { engine, scheduler } = runtime
  return runtime.run(undefined, () => scheduler.between(() => saveState(engine, tokens, note)))
}

/** @throws FormatError | UsageError | ContextOverflowError */
export async function loadPrompt(runtime: Runtime, bytes: Uint8Array): Promise<StateReport> {
  const state = await openState(runtime, bytes)
  await takeTokens(runtime, state)
  return { tokens: state.tokens.length, cachedTokens: state.computed }
}

/** @throws UsageError | FormatError */
export async function openState(runtime: Runtime, bytes: Uint8Array): Promise<SavedState> {
  runtime.assertUsable()
  const own = bytesOf(bytes) ?? fail('the state', 'bytes', bytes)
  return readState(own)
}

/** @throws UsageError | ContextOverflowError */
export async function takeTokens(runtime: Runtime, state: SavedState): Promise<void> {
  const { engine, scheduler } = runtime
  const take = async () => ((await takeState(engine, state)) ? true : undefined)
  await runtime.run(undefined, () => scheduler.between(take))
}
