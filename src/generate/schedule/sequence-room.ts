/**
 * Where sequences lie while they run, and what is left of them afterwards: the tokens of a slot that was
 * given back stay computed until another sequence needs it, and a sequence that begins alike goes on there.
 */
import type { DecodeEngine, KvCache } from '../../model/engine.ts'
import { padToTile } from '../../ternary/index.ts'
import { commonLength } from '../chat/chat-prompt.ts'

/** What a sequence was given. */
export interface Place {
  readonly cache: KvCache
  readonly slot: number
  /** How many of its tokens, from the first, are computed already. */
  readonly cached: number
}

/** What is known of those that want room. */
export interface Demand {
  /** How many would begin now. */
  readonly sequences: number
  /** Most positions of any of them. */
  readonly positions: number
}

interface Slot {
  isOpen: boolean
  tokens: readonly number[]
  /** When it was given back. */
  closedAt: number
}

interface Bank {
  readonly cache: KvCache
  readonly slots: readonly Slot[]
}

/** Bytes that all caches together take at most, but for a single sequence that needs more. */
const MAX_BYTES = 2 ** 31
/** Slots of a cache that is made while others run: who comes next shares its passes. */
const SPARE_SLOTS = 8
/** Given-back slots whose tokens are kept before the one given back first is used again. */
const KEPT_SLOTS = 4

export class SequenceRoom {
  readonly #engine: DecodeEngine
  readonly #bytesPerToken: number
  #banks: Bank[] = []
  #clock = 0

  constructor(engine: DecodeEngine, bytesPerToken: number) {
    this.#engine = engine
    this.#bytesPerToken = bytesPerToken
  }

  /** @returns undefined while there is no room */
  open(tokens: readonly number[], positions: number, demand: Demand): Place | undefined {
    const free = this.#free(tokens, positions)
    const best = free[0]
    const kept = this.#banks.flatMap(({ slots }) =>
      slots.filter((slot) => !slot.isOpen && slot.tokens.length > 0),
    )
    // What a slot holds is given up for what begins alike, or where enough others are kept.
    if (best !== undefined && 3 * best.cached >= best.kept) return this.#take(best)
    const oldest = free.toSorted((a, b) => a.closedAt - b.closedAt)
    // Beside others it shares their passes.
    const near = oldest.find(({ bank }) => !isIdle(bank)) ?? oldest[0]
    const isSpared = near !== undefined && isIdle(near.bank) && kept.length < KEPT_SLOTS
    if (near !== undefined && (near.kept === 0 || !isSpared)) return this.#take(near)
    const bank = this.#addBank(demand, positions)
    if (bank !== undefined) return this.#take({ bank, slot: 0, cached: 0 })
    return near && this.#take(near)
  }

  /** Gives a slot back, with the tokens that are computed in it. */
  close({ cache, slot }: Place, tokens: readonly number[]): void {
    const bank = this.#banks.find((one) => one.cache === cache)
    if (bank === undefined) return
    Object.assign(bank.slots[slot], { isOpen: false, tokens, closedAt: ++this.#clock })
    const idle = this.#banks.filter(isIdle).sort((a, b) => lastClosed(a) - lastClosed(b))
    for (const one of idle.slice(0, Math.max(0, idle.length - KEPT_SLOTS))) this.#drop(one)
  }

  dispose(): void {
    for (const bank of [...this.#banks]) this.#drop(bank)
  }

  /** Free slots that are long enough, that with the longest common beginning first. */
  #free(tokens: readonly number[], positions: number) {
    return this.#banks
      .filter(({ cache }) => cache.capacity >= positions)
      .flatMap((bank) =>
        bank.slots.flatMap(({ isOpen, tokens: kept, closedAt }, slot) =>
          isOpen
            ? []
            : [{ bank, slot, closedAt, kept: kept.length, cached: commonLength(kept, tokens) }],
        ),
      )
      .sort((a, b) => b.cached - a.cached)
  }

  #take({ bank, slot, cached }: { bank: Bank; slot: number; cached: number }): Place {
    Object.assign(bank.slots[slot], { isOpen: true, tokens: [] })
    return { cache: bank.cache, slot, cached }
  }

  #addBank(demand: Demand, positions: number): Bank | undefined {
    const capacity = padToTile(Math.max(positions, demand.positions))
    const isFirst = this.#banks.every(isIdle)
    const wanted = isFirst ? demand.sequences : Math.max(demand.sequences, SPARE_SLOTS)
    const taken = this.#banks.reduce((sum, { cache }) => sum + cache.slots * cache.capacity, 0)
    const left = MAX_BYTES / Math.max(1, this.#bytesPerToken) - taken
    const slots = Math.min(wanted, Math.floor(left / capacity))
    if (slots < 1 && !isFirst) return undefined
    if (slots < 1) this.dispose()
    const cache = this.#engine.createCache({ slots: Math.max(1, slots), capacity })
    const bank = {
      cache,
      slots: Array.from({ length: cache.slots }, () => ({
        isOpen: false,
        tokens: [],
        closedAt: 0,
      })),
    }
    this.#banks.push(bank)
    return bank
  }

  #drop(bank: Bank): void {
    this.#banks = this.#banks.filter((one) => one !== bank)
    bank.cache.dispose()
  }
}

function isIdle({ slots }: Bank): boolean {
  return slots.every(({ isOpen }) => !isOpen)
}

function lastClosed({ slots }: Bank): number {
  return Math.max(...slots.map(({ closedAt }) => closedAt))
}
