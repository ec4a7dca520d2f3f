/**
 * The generation loop, for one sequence or many: prompts are fed in pieces, all sequences that wait
 * for a token share a pass, those that end leave their slot to the next in the queue (continuous
 * batching). Rows of a pass do not change each other's results, so how sequences are put together
 * does not change what they say.
 */
import type { DecodeEngine, KvCache, RowBatch } from '../model/engine.ts'
import type { PassLock } from './schedule/pass-lock.ts'
import type { Sequence } from './schedule/sequence.ts'
import { guessCost } from './speculate/speculation.ts'

/** Most guesses in one pass of all sequences: each has a row of logits of its own. */
const MAX_GUESSES = 64

/** Where the loop runs. */
interface PassContext {
  readonly engine: DecodeEngine
  readonly lock: PassLock
}

/**
 * Runs all sequences to their end, `cache.slots` of them at a time. When the signal aborts, those that
 * have not ended are cancelled, between two passes.
 *
 * @param sequences taken in their order; those that have cached tokens must find them in slot 0
 * @throws whatever the engine or a sampler throws; sequences are as they were after the last pass
 */
export async function runSequences(
  context: PassContext,
  cache: KvCache,
  sequences: readonly Sequence[],
  signal: AbortSignal,
): Promise<void> {
  const { engine, lock } = context
  const queue = [...sequences]
  const slots: (Sequence | undefined)[] = Array.from({
    length: Math.min(cache.slots, engine.maxRows),
  })
  for (;;) {
    for (const [slot, sequence] of slots.entries()) {
      if (sequence === undefined || sequence.finished) slots[slot] = queue.shift()
    }
    if (slots.every((sequence) => sequence === undefined)) return
    await guessAll(slots, engine.maxRows, signal)
    const ran = await lock.run(signal, () => runPass(engine, cache, slots))
    if (!ran) break
  }
  for (const sequence of sequences) sequence.finish('cancelled')
}

/** Lets the sequences guess, outside the lock, since a draft model runs passes of its own. */
async function guessAll(
  slots: readonly (Sequence | undefined)[],
  maxRows: number,
  signal: AbortSignal,
): Promise<void> {
  const live = slots.filter((sequence) => sequence !== undefined)
  let room = Math.min(MAX_GUESSES, maxRows - live.length)
  const cost = guessCost(live.length)
  for (const sequence of live) room -= await sequence.guess(room, cost, signal)
}

/** One pass over the next tokens of the sequences in `slots`. */
async function runPass(
  engine: DecodeEngine,
  cache: KvCache,
  slots: readonly (Sequence | undefined)[],
): Promise<void> {
  const { batch, shares } = planPass(slots, engine.maxRows)
  for (const { sequence } of shares) sequence.begin()
  const logits = await engine.forward(cache, batch)
  const { vocabSize } = engine.config
  let at = 0
  for (const { sequence, rows } of shares) {
    sequence.fed += rows
    if (sequence.pending > 0) continue
    const end = at + (1 + sequence.guesses.length) * vocabSize
    sequence.accept(logits.subarray(at, end))
    at = end
  }
}

/** How many rows of a pass belong to a sequence, those of guesses not counted. */
interface Share {
  readonly sequence: Sequence
  readonly rows: number
}

/**
 * Sequences that wait for one token come first, with their guesses, then prompts fill the pass. Slots
 * and guesses together are no more than rows, so each of the former has its rows and the latter get
 * one at least.
 */
function planPass(
  slots: readonly (Sequence | undefined)[],
  maxRows: number,
): { batch: RowBatch; shares: readonly Share[] } {
  const tokens: number[] = []
  const slotOf: number[] = []
  const positions: number[] = []
  const logitRows: number[] = []
  const shares: Share[] = []
  const addRow = (slot: number, token: number, position: number) => {
    tokens.push(token)
    slotOf.push(slot)
    positions.push(position)
  }
  const add = (slot: number, sequence: Sequence, rows: number) => {
    const end = sequence.fed + rows
    for (let at = sequence.fed; at < end; at++) addRow(slot, sequence.tokens[at], at)
    shares.push({ sequence, rows })
    if (rows < sequence.pending) return
    logitRows.push(tokens.length - 1)
    for (const [i, guess] of sequence.guesses.entries()) {
      addRow(slot, guess.id, end + i)
      logitRows.push(tokens.length - 1)
    }
  }
  const live = [...slots.entries()].flatMap(([slot, sequence]) =>
    sequence === undefined ? [] : [{ slot, sequence }],
  )
  for (const { slot, sequence } of live) if (sequence.pending === 1) add(slot, sequence, 1)
  for (const { slot, sequence } of live) {
    const rows = Math.min(sequence.pending, maxRows - tokens.length)
    if (sequence.pending > 1 && rows > 0) add(slot, sequence, rows)
  }
  return { batch: { tokens, slots: slotOf, positions, logitRows }, shares }
}
