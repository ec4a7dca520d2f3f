/**
 * The generation loop, for one sequence or many: prompts are fed in pieces, all sequences that wait
 * for a token share a pass, those that end leave their slot to the next in the queue (continuous
 * batching). Rows of a pass do not change each other's results, so how sequences are put together
 * does not change what they say.
 */
import type { DecodeEngine, KvCache, RowBatch } from '../model/engine.ts'
import type { PassLock } from './pass-lock.ts'
import type { Sequence } from './sequence.ts'

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
    const ran = await lock.run(signal, () => runPass(engine, cache, slots))
    if (!ran) break
  }
  for (const sequence of sequences) sequence.finish('cancelled')
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
  let row = 0
  for (const { sequence, rows } of shares) {
    sequence.fed += rows
    if (sequence.pending > 0) continue
    sequence.accept(logits.subarray(row * vocabSize, (row + 1) * vocabSize))
    row++
  }
}

/** How many rows of a pass belong to a sequence. */
interface Share {
  readonly sequence: Sequence
  readonly rows: number
}

/**
 * Sequences that wait for one token come first, then prompts fill the pass. There are no more slots
 * than rows, so each of the former has its row and the latter get one at least.
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
  const add = (slot: number, sequence: Sequence, rows: number) => {
    for (let position = sequence.fed; position < sequence.fed + rows; position++) {
      tokens.push(sequence.tokens[position])
      slotOf.push(slot)
      positions.push(position)
    }
    if (rows === sequence.pending) logitRows.push(tokens.length - 1)
    shares.push({ sequence, rows })
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
