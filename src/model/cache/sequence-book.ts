/**
 * Who has which blocks of the cache: sequences that are open, and what was computed before, findable by its
 * tokens. Numbers only; cache-memory.ts does what follows from them on a backend.
 */
import { isWhole } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { ATTENTION_CHUNK, KEY_BLOCK } from '../../kernels/attention/layout.ts'
import { padToTile } from '../../ternary/index.ts'
import type { CacheStats, OpenedSequence, RowBatch, SequenceCache } from '../engine.ts'
import { BlockCopies, type BlockCopy } from './block-copies.ts'
import { BlockGroup, blocksOf, HeldBlocks } from './block-group.ts'
import type { BookFacts, Sequence } from './book-facts.ts'
import { checkNext, checkReserve, checkSeen, checkWithin, noRoomToGoBack } from './check-rows.ts'
import { NO_BLOCK, type PrefixMatch, PrefixTree } from './prefix-tree.ts'
import { type KnownPositions, knownPositions, MIN_COPIED, sharedLength } from './shared-length.ts'

export class SequenceBook implements SequenceCache {
  readonly capacity: number
  readonly maxSequences: number
  readonly groups: readonly BlockGroup[]
  readonly #tree: PrefixTree
  readonly #sequences = new Map<number, Sequence>()
  /** Slots given back, and below which all others were taken. */
  readonly #freeSlots: number[] = []
  #nextSlot = 0
  /** Slots whose blocks are others than when they were last asked for. */
  readonly #changed = new Set<number>()
  readonly #copies = new BlockCopies()
  readonly #counts = { opened: 0, hits: 0, hitTokens: 0 }

  constructor({ contextLength, maxRows, maxSequences, groups }: BookFacts) {
    this.maxSequences = maxSequences
    this.groups = groups.map((shape, index) => new BlockGroup(index, shape, maxRows))
    this.#tree = new PrefixTree(
      this.groups.map(({ pool }) => pool),
      this.groups.map(({ window }) => window !== undefined),
    )
    this.capacity = Math.min(
      padToTile(contextLength),
      ...this.groups.map(({ capacity }) => capacity),
    )
  }

  get stats(): CacheStats {
    const [{ pool }] = this.groups
    return {
      ...this.#counts,
      copied: this.#copies.count,
      evicted: this.#tree.evicted,
      sequences: this.#sequences.size,
      blocks: pool.size,
      free: pool.free,
      kept: pool.kept,
      shared: pool.shared,
    }
  }

  /** The tokens of the positions that are computed. */
  computed(slot: number): readonly number[] {
    return this.#at(slot).tokens
  }

  open(tokens: ArrayLike<number>, reserve: number): OpenedSequence | undefined {
    checkReserve(reserve, tokens.length, this.capacity)
    const slot = this.#freeSlot()
    if (slot === undefined) return undefined
    // The last token is computed again, for what follows it.
    const match = this.#tree.match(tokens)
    const length = sharedLength(match, this.groups, tokens.length - 1)
    // A block to copy is one more for a moment, which the last sequence of all may not have.
    const wholeLength = sharedLength(match, this.groups, length - (length % ATTENTION_CHUNK))
    const opened =
      this.#share(slot, tokens, reserve, match, length) ??
      (wholeLength === length ? undefined : this.#share(slot, tokens, reserve, match, wholeLength))
    if (opened === undefined) {
      this.#freeSlots.push(slot)
      return undefined
    }
    this.#counts.opened++
    if (opened.cached > 0) this.#counts.hits++
    this.#counts.hitTokens += opened.cached
    return opened
  }

  extend(slot: number, positions: number): boolean {
    checkReserve(positions, 0, this.capacity)
    const sequence = this.#at(slot)
    if (positions <= sequence.reserve) return true
    for (const held of sequence.held) held.promise(positions)
    if (this.#isOverdrawn()) {
      for (const held of sequence.held) held.promise(sequence.reserve)
      return false
    }
    sequence.reserve = positions
    return true
  }

  fork(slot: number, positions: number, reserve: number): number | undefined {
    const parent = this.#at(slot)
    checkReserve(reserve, positions, this.capacity)
    if (!isWhole(positions, 0, parent.tokens.length)) {
      throw new UsageError(
        `Expected to go on from at most ${parent.tokens.length} positions, which are what slot ${slot} ` +
          `has computed, got ${positions}.`,
      )
    }
    for (const held of parent.held) checkSeen(held, slot, positions)
    const child = this.#freeSlot()
    if (child === undefined) return undefined
    const blockOf = (group: number, index: number) => parent.held[group].at(index)
    const tokens = parent.tokens.slice(0, positions)
    const opened = tokens.slice(0, Math.min(positions, parent.opened.length))
    const sequence = this.#hold({ opened, tokens, reserve }, positions, blockOf)
    if (sequence === undefined) {
      this.#freeSlots.push(child)
      return undefined
    }
    sequence.published = Math.min(parent.published, Math.floor(positions / ATTENTION_CHUNK))
    this.#add(child, sequence)
    return child
  }

  close(slot: number, tokens: ArrayLike<number>): void {
    const sequence = this.#at(slot)
    let length = 0
    const most = Math.min(tokens.length, sequence.tokens.length)
    while (length < most && tokens[length] === sequence.tokens[length]) length++
    // A beginning of a block that would not be copied need not be kept.
    if (length % ATTENTION_CHUNK < MIN_COPIED) length -= length % ATTENTION_CHUNK
    this.#tree.insert(sequence.tokens.slice(0, length), (group, index) =>
      sequence.held[group].at(index),
    )
    for (const held of sequence.held) held.dispose()
    this.#sequences.delete(slot)
    this.#changed.delete(slot)
    this.#freeSlots.push(slot)
  }

  /** Gives back the blocks of what no open sequence has. */
  forget(): void {
    this.#tree.clear()
  }

  /**
   * Checks that rows fit, and that no row looks back on a position that was never computed.
   *
   * @throws ContextOverflowError | UsageError
   */
  check(batch: RowBatch): void {
    const reached = new Map<number, number>()
    for (let i = 0; i < batch.tokens.length; i++) {
      const slot = batch.slots[i]
      const position = batch.positions[i]
      const sequence = this.#at(slot)
      const before = reached.get(slot)
      checkNext(slot, position, before, sequence.tokens.length)
      checkWithin(position, sequence.reserve)
      if (before === undefined) {
        for (const held of sequence.held) checkSeen(held, slot, position)
      }
      reached.set(slot, position)
    }
  }

  /** Takes the blocks that a batch needs. */
  prepare(batch: RowBatch): void {
    for (let i = 0; i < batch.tokens.length; i++) {
      const slot = batch.slots[i]
      const position = batch.positions[i]
      const isFirst = i === 0 || batch.slots[i - 1] !== slot
      const index = Math.floor(position / ATTENTION_CHUNK)
      const sequence = this.#at(slot)
      if (isFirst && position < sequence.tokens.length) this.#goBack(slot, sequence, position)
      for (const held of sequence.held) {
        if (isFirst) held.leave(position)
        if (held.at(index) !== NO_BLOCK) continue
        held.take(index, this.#tree)
        this.#changed.add(slot)
      }
    }
  }

  /** In this order. */
  get copies(): readonly BlockCopy[] {
    return this.#copies.waiting
  }

  /** Open sequences whose blocks are others than before. */
  get changed(): readonly number[] {
    return [...this.#changed]
  }

  /** Nobody knows any more what blocks sequences have. */
  changeAll(): void {
    for (const slot of this.#sequences.keys()) this.#changed.add(slot)
  }

  /** All of it was done. */
  settle(): void {
    this.#copies.settle(this.groups)
    this.#changed.clear()
  }

  /** Remembers a batch that was computed: what of prompts fills a block can be found from now on. */
  advance(batch: RowBatch): void {
    const touched = new Set<number>()
    for (let i = 0; i < batch.tokens.length; i++) {
      const { tokens } = this.#at(batch.slots[i])
      tokens.length = batch.positions[i]
      tokens.push(batch.tokens[i])
      touched.add(batch.slots[i])
    }
    for (const slot of touched) this.#publish(slot, this.#at(slot))
  }

  /** Takes tokens of a sequence for computed: whoever calls has filled their blocks, or is to. */
  assumeComputed(slot: number, computed: ArrayLike<number>): void {
    const { tokens, held } = this.#at(slot)
    for (const own of held) {
      const first = own.group.firstSeen(computed.length)
      for (let index = first; index < blocksOf(computed.length); index++) {
        if (own.at(index) === NO_BLOCK) own.take(index, this.#tree)
      }
    }
    this.#changed.add(slot)
    tokens.length = 0
    for (let i = 0; i < computed.length; i++) tokens.push(computed[i])
  }

  /** The longest beginning of tokens that is known. */
  known(tokens: ArrayLike<number>): KnownPositions {
    return knownPositions(this.#tree.match(tokens), this.groups)
  }

  /** What an open sequence has computed. */
  knownOf(slot: number): KnownPositions {
    const { tokens, held } = this.#at(slot)
    const length = tokens.length - (tokens.length % KEY_BLOCK)
    return { length, blockOf: (group, index) => held[group].at(index) }
  }

  /** Blocks of a group that a sequence has, by their places. */
  blocks(slot: number, group: number): readonly number[] {
    return this.#at(slot).held[group].blocks
  }

  /** Most positions that an open sequence may reach. */
  get reach(): number {
    let most = 0
    for (const { reserve } of this.#sequences.values()) most = Math.max(most, reserve)
    return most
  }

  /** All slots ever taken are lower. */
  get touchedSlots(): number {
    return this.#nextSlot
  }

  get openSlots(): readonly number[] {
    return [...this.#sequences.keys()]
  }

  #share(
    slot: number,
    tokens: ArrayLike<number>,
    reserve: number,
    { whole, next }: PrefixMatch,
    cached: number,
  ): OpenedSequence | undefined {
    const nodes = next === undefined ? whole : [...whole, next]
    const opened = Int32Array.from(tokens)
    const computed = Array.from(opened.subarray(0, cached))
    const sequence = this.#hold(
      { opened, tokens: computed, reserve },
      cached,
      (group, index) => nodes[index].blocks[group],
    )
    if (sequence === undefined) return undefined
    sequence.published = Math.floor(cached / ATTENTION_CHUNK)
    this.#add(slot, sequence)
    return { slot, cached }
  }

  /** A sequence that shares the first `positions` of another; undefined where there is no room. */
  #hold(
    facts: Pick<Sequence, 'opened' | 'tokens' | 'reserve'>,
    positions: number,
    blockOf: (group: number, index: number) => number,
  ): Sequence | undefined {
    const held = this.groups.map((group) => new HeldBlocks(group))
    const wholeBlocks = Math.floor(positions / ATTENTION_CHUNK)
    const copied: { group: BlockGroup; from: number }[] = []
    for (const own of held) {
      own.promise(facts.reserve)
      const { group } = own
      const { index } = group
      for (let at = group.firstSeen(positions); at < wholeBlocks; at++) {
        own.share(at, blockOf(index, at))
      }
      if (positions % ATTENTION_CHUNK === 0) continue
      const from = blockOf(index, wholeBlocks)
      group.holdCopied(from)
      copied.push({ group, from })
    }
    if (this.#isOverdrawn()) {
      for (const own of held) own.dispose()
      for (const { group, from } of copied) group.releaseCopied(from)
      return undefined
    }
    for (const { group, from } of copied) {
      this.#copies.add(held[group.index], wholeBlocks, from, this.#tree)
    }
    return { ...facts, held, published: 0 }
  }

  #add(slot: number, sequence: Sequence): void {
    this.#sequences.set(slot, sequence)
    this.#changed.add(slot)
  }

  /** Lets others find whole blocks of the tokens that a sequence was opened with. */
  #publish(slot: number, sequence: Sequence): void {
    const { opened, tokens, held } = sequence
    let end = sequence.published * ATTENTION_CHUNK
    const most = Math.min(opened.length, tokens.length)
    if (most < end + ATTENTION_CHUNK) return
    while (end < most && opened[end] === tokens[end]) end++
    const count = Math.floor(end / ATTENTION_CHUNK)
    if (count <= sequence.published) return
    const nodes = this.#tree.insert(tokens.slice(0, count * ATTENTION_CHUNK), (group, index) =>
      held[group].at(index),
    )
    // Whoever computed the same at the same time had it in a block of its own.
    for (const own of held) {
      for (let index = sequence.published; index < count; index++) {
        const block = nodes[index].blocks[own.group.index]
        if (own.at(index) !== NO_BLOCK) own.exchange(index, block)
      }
    }
    this.#changed.add(slot)
    sequence.published = count
  }

  /** Makes the blocks from a position on a sequence's own. @throws UsageError where there is no room to */
  #goBack(slot: number, sequence: Sequence, position: number): void {
    const { held, tokens } = sequence
    const first = Math.floor(position / ATTENTION_CHUNK)
    sequence.published = Math.min(sequence.published, first)
    for (const own of held) {
      for (let index = first; index < own.blocks.length; index++) {
        const { group } = own
        const block = own.at(index)
        if (block === NO_BLOCK || this.#copies.isAlone(group, block)) continue
        if (group.available < 1) {
          // What nobody else has goes on; what it was is not to be found any more.
          if (this.#copies.users(group, block) === 1) this.#tree.cut(tokens, first)
          if (this.#copies.isAlone(group, block)) continue
          throw new UsageError(noRoomToGoBack(slot, position))
        }
        if (index > first || position % ATTENTION_CHUNK === 0) own.drop(index)
        else this.#copies.replace(own, index, this.#tree)
        this.#changed.add(slot)
      }
    }
  }

  #isOverdrawn(): boolean {
    return this.groups.some(({ available }) => available < 0)
  }

  #freeSlot(): number | undefined {
    return (
      this.#freeSlots.pop() ?? (this.#nextSlot < this.maxSequences ? this.#nextSlot++ : undefined)
    )
  }

  #at(slot: number): Sequence {
    const sequence = this.#sequences.get(slot)
    if (sequence === undefined) {
      throw new UsageError(`Expected the slot of an open sequence, got ${slot}.`)
    }
    return sequence
  }
}
