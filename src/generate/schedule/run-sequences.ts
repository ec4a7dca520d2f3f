/**
 * The generation loop, for one sequence or many: prompts are fed in pieces, all sequences that wait
 * for a token share a pass, those that end leave their slot to the next in the queue.
 */
import type { DecodeEngine, KvCache } from '../../model/engine.ts'
import { PassRows } from '../../model/pass-rows.ts'
import { guessCost } from '../speculate/speculation.ts'
import type { Runtime } from './runtime.ts'
import type { Sequence } from './sequence.ts'
import { type Placed, runInSlots } from './slots.ts'

/** Most guesses in one pass of all sequences: each has a row of logits of its own. */
const MAX_GUESSES = 64

type Live = readonly Placed<Sequence>[]

/**
 * Runs all sequences to their end, `cache.slots` of them at a time. When the signal aborts, those that
 * have not ended are cancelled, between two passes.
 *
 * @param sequences taken in their order; those that have cached tokens must find them in slot 0
 * @throws whatever the engine or a sampler throws; sequences are as they were after the last pass
 */
export async function runSequences(
  { engine, lock }: Runtime,
  cache: KvCache,
  sequences: readonly Sequence[],
  signal: AbortSignal,
): Promise<void> {
  const slots = Math.min(cache.slots, engine.maxRows)
  await runInSlots(slots, sequences, async (live) => {
    await guessAll(live, engine.maxRows, signal)
    return lock.run(signal, () => runPass(engine, cache, live))
  })
  for (const sequence of sequences) sequence.finish('cancelled')
}

/** Lets the sequences guess, outside the lock, since a draft model runs passes of its own. */
async function guessAll(live: Live, maxRows: number, signal: AbortSignal): Promise<void> {
  let room = Math.min(MAX_GUESSES, maxRows - live.length)
  const cost = guessCost(live.length)
  for (const { work } of live) room -= await work.guess(room, cost, signal)
}

/** One pass over the next tokens of the sequences. */
async function runPass(engine: DecodeEngine, cache: KvCache, live: Live): Promise<void> {
  const { rows, shares } = planPass(live, engine.maxRows)
  for (const { sequence } of shares) sequence.begin()
  const logits = await engine.forward(cache, rows)
  const { vocabSize } = engine.config
  let at = 0
  for (const { sequence, fed } of shares) {
    sequence.fed = fed
    if (sequence.pending > 0) continue
    const end = at + (1 + sequence.guesses.length) * vocabSize
    sequence.accept(logits.subarray(at, end))
    at = end
  }
}

/** How many tokens of a sequence are in the cache after a pass, guesses not counted. */
interface Share {
  readonly sequence: Sequence
  readonly fed: number
}

/**
 * Sequences that wait for one token come first, with their guesses, then prompts fill the pass. Slots
 * and guesses together are no more than rows, so each of the former has its rows and the latter get
 * one at least.
 */
function planPass(live: Live, maxRows: number): { rows: PassRows; shares: readonly Share[] } {
  const rows = new PassRows(maxRows)
  const shares: Share[] = []
  const waiting = live.filter(({ work }) => work.pending === 1)
  const prompts = live.filter(({ work }) => work.pending > 1)
  for (const { slot, work: sequence } of [...waiting, ...prompts]) {
    if (rows.room === 0) break
    const fed = rows.fill(slot, sequence.tokens, sequence.fed)
    shares.push({ sequence, fed })
    if (fed < sequence.tokens.length) continue
    rows.want()
    for (const [i, guess] of sequence.guesses.entries()) {
      rows.add(slot, fed + i, guess.id)
      rows.want()
    }
  }
  return { rows, shares }
}
