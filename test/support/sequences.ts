/**
 * For tests below the scheduler: sequences of an engine's cache that share nothing with others, counted from 0 for
 * whoever drives them.
 */
import type { SequenceCache } from '../../src/model/engine.ts'

export interface OwnSequences {
  /** The same rows in the slots that the sequences have. */
  place<Batch extends { readonly slots: ArrayLike<number> }>(batch: Batch): Batch
  /** Closes them; what they had computed nobody finds. */
  close(): void
}

export function sequencesOf(
  { cache }: { readonly cache: SequenceCache },
  { slots: count, capacity }: { readonly slots: number; readonly capacity: number },
): OwnSequences {
  const slots = Array.from({ length: count }, () => {
    const opened = cache.open([], capacity)
    if (opened === undefined) throw new Error('There is no room in the cache.')
    return opened.slot
  })
  return {
    // A slot that there is not stays one.
    place: (batch) => ({
      ...batch,
      slots: Array.from(batch.slots, (slot) => slots[slot] ?? slot),
    }),
    close() {
      for (const slot of slots) cache.close(slot, [])
    },
  }
}
