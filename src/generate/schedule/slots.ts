/**
 * Work side by side in the slots of a cache: what ends leaves its slot to the next in the queue, so that
 * passes stay full (continuous batching). Rows of a pass do not change each other's results, so how work
 * is put together does not change what it gives.
 */
import type { DecodeEngine, KvCache } from '../../model/engine.ts'
import { padToTile } from '../../ternary/index.ts'

export interface SlotWork {
  /** Whether nothing is left to compute. */
  readonly finished: boolean
}

/** Work with the slot that its keys and values lie in. */
export interface Placed<W> {
  readonly slot: number
  readonly work: W
}

/** Cache slots fill more often before a new cache is made for what is shorter. */
const ROUNDS = 8

/**
 * Runs all work to its end.
 *
 * @param slots how many run side by side
 * @param queue in the order in which they begin
 * @param pass runs one pass of what is in the slots; false ends the run
 * @param onDone called for each that is finished; awaited
 */
export async function runInSlots<W extends SlotWork>(
  slots: number,
  queue: readonly W[],
  pass: (live: readonly Placed<W>[]) => Promise<boolean>,
  onDone?: (work: W) => void | Promise<void>,
): Promise<void> {
  const waiting = queue.values()
  const running: (W | undefined)[] = Array.from({ length: slots }, () => waiting.next().value)
  for (;;) {
    const live: Placed<W>[] = []
    for (let slot = 0; slot < slots; slot++) {
      let work = running[slot]
      while (work?.finished) {
        await onDone?.(work)
        work = waiting.next().value
      }
      running[slot] = work
      if (work !== undefined) live.push({ slot, work })
    }
    if (live.length === 0 || !(await pass(live))) return
  }
}

/**
 * Runs work of known length in caches made for it. Long ones go first: what is left for the end is short,
 * and few slots run empty. Shorter ones need less of a cache each, so that more run side by side.
 *
 * @param limits to a cache: its slots, and the positions of all of them together unless one work needs more
 * @param pass runs one pass; throws to end the run
 */
export async function runByLength<W extends SlotWork & { readonly positions: number }>(
  engine: DecodeEngine,
  works: readonly W[],
  limits: { readonly slots: number; readonly positions: number },
  pass: (cache: KvCache, live: readonly Placed<W>[]) => Promise<void>,
  onDone?: (work: W) => void | Promise<void>,
): Promise<void> {
  const waiting = works.toSorted((a, b) => b.positions - a.positions)
  while (waiting.length > 0) {
    const capacity = padToTile(Math.max(1, waiting[0].positions))
    const most = Math.min(limits.slots, waiting.length)
    const slots = Math.min(most, Math.max(1, Math.floor(limits.positions / capacity)))
    const share = slots === most ? waiting.length : slots * ROUNDS
    const cache = engine.createCache({ slots, capacity })
    try {
      const run = async (live: readonly Placed<W>[]) => {
        await pass(cache, live)
        return true
      }
      await runInSlots(slots, waiting.splice(0, share), run, onDone)
    } finally {
      cache.dispose()
    }
  }
}
