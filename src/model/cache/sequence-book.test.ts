/** Who has which blocks: what a plain model of it says, under thousands of random calls. */
import { describe, expect, test } from 'vitest'
import { ContextOverflowError, UsageError } from '../../errors.ts'
import { Seeded } from '../../kernels/testing/conformance-cases.ts'
import { SequenceBook } from './sequence-book.ts'

const BLOCK = 256
const MAX_ROWS = 64

function bookOf(blocks: number, windows: readonly (number | undefined)[] = [undefined]) {
  return new SequenceBook({
    contextLength: 4096,
    maxRows: MAX_ROWS,
    maxSequences: 16,
    groups: windows.map((window) => ({ window, blocks })),
  })
}

/** Tokens of a text: the first `shared` are those of every text with that number. */
function text(length: number, own = 0, shared = 0): number[] {
  return Array.from({ length }, (_, i) => (i < shared ? i % 97 : (i * 31 + own * 17) % 1009))
}

/** Computes tokens of a sequence from where it is, in passes. */
function compute(
  book: SequenceBook,
  slot: number,
  tokens: readonly number[],
  first = book.computed(slot).length,
): void {
  for (let from = first; from < tokens.length; from += MAX_ROWS) {
    const part = tokens.slice(from, from + MAX_ROWS)
    const batch = {
      tokens: part,
      slots: part.map(() => slot),
      positions: part.map((_, i) => from + i),
      logitRows: [],
    }
    book.check(batch)
    book.prepare(batch)
    book.settle()
    book.advance(batch)
  }
}

function opened(book: SequenceBook, tokens: readonly number[], reserve = tokens.length + 16) {
  const sequence = book.open(tokens, reserve)
  if (sequence === undefined) throw new Error('There is no room.')
  return sequence
}

/** Opens, computes and closes. @returns how many tokens were there already */
function run(book: SequenceBook, tokens: readonly number[]): number {
  const { slot, cached } = opened(book, tokens, tokens.length)
  compute(book, slot, tokens)
  book.close(slot, tokens)
  return cached
}

describe('what was computed is found by whoever begins with it', () => {
  test('to the last token but one, which is computed again', () => {
    const book = bookOf(20)
    expect(run(book, text(700))).toBe(0)
    expect(run(book, text(700))).toBe(699)
    expect(run(book, text(512))).toBe(511)
    expect(run(book, [...text(700), 5, 6])).toBe(700)
  })

  test('as far as it is the same', () => {
    const book = bookOf(20)
    run(book, text(700))
    expect(run(book, text(700, 1, 0).with(0, 1008))).toBe(0)
    expect(run(book, [...text(300), 1, 2, 3])).toBe(300)
    expect(run(book, [...text(300), 1, 2, 3, 4])).toBe(303)
    // A few tokens of a block are not worth a copy of it.
    expect(run(book, [...text(260), 7, 7])).toBe(256)
  })

  test('while the one who computed it goes on, block by block', () => {
    const book = bookOf(20)
    const first = opened(book, text(600))
    compute(book, first.slot, text(300))
    expect(opened(book, text(600)).cached).toBe(256)
    compute(book, first.slot, text(600))
    expect(opened(book, text(600)).cached).toBe(512)
  })

  test('but not what it was not opened with, until it is closed', () => {
    const book = bookOf(20)
    const { slot } = opened(book, [], 600)
    compute(book, slot, text(600))
    expect(opened(book, text(600)).cached).toBe(0)
    book.close(slot, text(600))
    expect(opened(book, text(600)).cached).toBe(599)
  })

  test('and of what a caller says was computed only what was', () => {
    const book = bookOf(20)
    const { slot } = opened(book, text(600))
    compute(book, slot, text(300))
    book.close(slot, text(600))
    expect(opened(book, text(600)).cached).toBe(300)
    const other = opened(book, text(300, 5))
    compute(book, other.slot, text(300, 6))
    book.close(other.slot, text(300, 5))
    expect(opened(book, text(300, 5)).cached).toBe(0)
  })

  test('in the blocks of the first, whoever computed it too', () => {
    const book = bookOf(20)
    const [a, b] = [opened(book, text(600)), opened(book, text(600))]
    compute(book, a.slot, text(600))
    compute(book, b.slot, text(600))
    expect(book.blocks(a.slot, 0).slice(0, 2)).toEqual(book.blocks(b.slot, 0).slice(0, 2))
    expect(book.stats).toMatchObject({ free: 16, shared: 2, kept: 2 })
  })
})

describe('room', () => {
  test('is what sequences may reach, not what they have computed', () => {
    const book = bookOf(4)
    const { slot } = opened(book, [], 600)
    expect(book.open([], 257)).toBeUndefined()
    expect(book.extend(slot, 769)).toBe(true)
    expect(book.open([], 1)).toBeUndefined()
    book.close(slot, [])
    expect(book.open([], 1024)).toBeDefined()
  })

  test('comes from what is kept, the least recently used first', () => {
    const book = bookOf(5)
    const own = (number: number, length = 256) => text(length).with(0, number)
    for (const tokens of [own(1), own(2), own(3, 512)]) run(book, tokens)
    expect(run(book, own(1))).toBe(255)
    expect(book.stats).toMatchObject({ free: 1, kept: 4, evicted: 0 })
    for (const tokens of [own(4), own(5)]) run(book, tokens)
    expect(book.stats).toMatchObject({ free: 0, kept: 5, evicted: 1 })
    expect(run(book, own(1))).toBe(255)
    expect(run(book, own(2))).toBe(0)
  })

  test('there never is for more than the memory or the context', () => {
    const book = bookOf(4)
    expect(book.capacity).toBe(1024)
    expect(() => book.open([], 1025)).toThrow(ContextOverflowError)
    expect(bookOf(40).capacity).toBe(4096)
    const { slot } = opened(book, [], 8)
    expect(() => book.extend(slot, 1025)).toThrow(ContextOverflowError)
    expect(() => book.fork(slot, 0, 1025)).toThrow(ContextOverflowError)
    expect(() => book.open([1, 2], 1)).toThrow(UsageError)
    expect(() => book.open([], 1.5)).toThrow(UsageError)
  })

  test('there is for so many sequences', () => {
    const book = bookOf(40)
    for (let i = 0; i < 16; i++) opened(book, [], 8)
    expect(book.open([], 8)).toBeUndefined()
  })

  test('there is for one that shares a part of a block and needs all others', () => {
    const book = bookOf(2)
    run(book, text(300))
    expect(opened(book, [...text(290), 1, 2], 512).cached).toBe(256)
  })
})

describe('positions that others share', () => {
  test('are copied before one of them is computed anew', () => {
    const book = bookOf(20)
    run(book, text(600))
    const [a, b] = [opened(book, text(600)), opened(book, text(600))]
    const before = book.blocks(b.slot, 0).slice()
    expect(before.slice(0, 2)).toEqual(book.blocks(a.slot, 0).slice(0, 2))
    compute(book, a.slot, [...text(100), 1, 2, 3], 100)
    expect(book.blocks(b.slot, 0)).toEqual(before)
    expect(book.blocks(a.slot, 0)[0]).not.toBe(before[0])
    expect(opened(book, text(600)).cached).toBe(599)
    book.close(a.slot, [...text(100), 1, 2, 3])
    expect(opened(book, [...text(100), 1, 2, 3, 4]).cached).toBe(103)
  })

  test('with nobody but the tree are its own, and no longer found', () => {
    const book = bookOf(3)
    const { slot } = opened(book, text(600), 768)
    compute(book, slot, text(600))
    expect(book.stats.kept).toBe(2)
    compute(book, slot, [...text(300), ...text(400, 7)], 300)
    expect(book.stats).toMatchObject({ kept: 1, copied: 0, free: 0 })
    book.close(slot, [...text(300), ...text(400, 7)])
    expect(opened(book, text(512)).cached).toBe(256)
  })

  test('are refused where there is no room for a copy', () => {
    const book = bookOf(4)
    const prompt = text(512)
    run(book, prompt)
    const a = opened(book, [...prompt, 1], 700)
    opened(book, [...prompt, 2], 700)
    expect(() => compute(book, a.slot, [...text(100), 1], 100)).toThrow(UsageError)
  })

  test('are those before a fork, whose last block is copied', () => {
    const book = bookOf(20)
    const { slot } = opened(book, text(600))
    compute(book, slot, text(600))
    const child = book.fork(slot, 600, 700)
    if (child === undefined) throw new Error('There is no room.')
    const [own, copied] = [book.blocks(slot, 0), book.blocks(child, 0)]
    expect(copied.slice(0, 2)).toEqual(own.slice(0, 2))
    expect(copied[2]).not.toBe(own[2])
    expect(book.copies).toEqual([{ group: 0, from: own[2], to: copied[2] }])
    expect(() => book.fork(slot, 601, 700)).toThrow(UsageError)
  })
})

describe('layers with a window', () => {
  test('keep what the window sees, and some slack', () => {
    const book = bookOf(40, [undefined, 300])
    const { slot } = opened(book, text(4000))
    compute(book, slot, text(4000))
    expect(book.blocks(slot, 0).filter((block) => block >= 0)).toHaveLength(16)
    expect(book.blocks(slot, 1).filter((block) => block >= 0).length).toBeLessThanOrEqual(5)
    const row = (position: number) =>
      [{ tokens: [1], slots: [slot], positions: [position], logitRows: [] }] as const
    expect(() => book.check(...row(3000))).toThrow(UsageError)
    book.close(slot, text(4000))
    expect(run(book, text(4000))).toBe(3999)
  })

  test('are shared as far as all that the window sees is there', () => {
    const book = bookOf(30, [undefined, 300])
    const { slot } = opened(book, [], 3000)
    compute(book, slot, text(3000))
    book.close(slot, text(3000))
    // The blocks in the middle are gone.
    expect(opened(book, text(1500)).cached).toBe(0)
    expect(opened(book, text(3000)).cached).toBe(2999)
  })

  test('do not limit a sequence to their blocks', () => {
    const book = new SequenceBook({
      contextLength: 8192,
      maxRows: MAX_ROWS,
      maxSequences: 2,
      groups: [{ window: 300, blocks: 8 }],
    })
    expect(book.capacity).toBe(8192)
    expect(run(book, text(8000))).toBe(0)
    expect(run(book, text(8000))).toBe(7999)
  })
})

/** The longest beginning that any text in `known` shares with `tokens`. */
function longest(known: readonly (readonly number[])[], tokens: readonly number[]): number {
  let most = 0
  for (const other of known) {
    let length = 0
    while (length < Math.min(other.length, tokens.length) && other[length] === tokens[length])
      length++
    most = Math.max(most, length)
  }
  return most
}

describe.each([
  ['one group', [undefined], 20_000],
  ['one group, short of memory', [undefined], 24],
  ['a window', [300], 24],
  ['two groups', [undefined, 200], 40],
] as const)('thousands of random calls, %s', (name, windows, blocks) => {
  test('lose no block and release none twice', () => {
    const seeded = new Seeded(blocks)
    const book = bookOf(blocks, windows)
    const open = new Map<number, number[]>()
    const known: number[][] = []
    const closed: number[][] = []
    // Few different beginnings, so that texts share some.
    const next = (length: number) => {
      const tokens = text(length, seeded.below(3), [0, 40, 300, 700][seeded.below(4)])
      return seeded.below(2) === 0
        ? tokens
        : [...tokens.slice(0, length - 8), ...text(8, seeded.below(50))]
    }
    for (let call = 0; call < 1500; call++) {
      const slots = [...open.keys()]
      const slot = slots[seeded.below(slots.length)]
      const action = seeded.below(10)
      if (slot === undefined || action < 3) {
        const tokens = next(20 + seeded.below(1200))
        const sequence = book.open(tokens, tokens.length + seeded.below(300))
        if (sequence === undefined) continue
        open.set(sequence.slot, tokens)
        expect(sequence.cached).toBeLessThan(tokens.length)
        expect(sequence.cached).toBeLessThanOrEqual(longest(known, tokens))
        expect(book.computed(sequence.slot)).toEqual(tokens.slice(0, sequence.cached))
        if (name === 'one group') {
          const most = Math.min(longest(closed, tokens), tokens.length - 1)
          expect(sequence.cached).toBeGreaterThan(most - 16)
        }
      } else if (action < 7) {
        const tokens = open.get(slot) ?? []
        const from = book.computed(slot).length
        // Sometimes a little way back, with other tokens from there on.
        const back = seeded.below(4) === 0 ? seeded.below(Math.min(from, 200) + 1) : 0
        const next = [
          ...tokens.slice(0, from - back),
          ...text(back, seeded.below(5)),
          ...tokens.slice(from),
        ]
        open.set(slot, next)
        try {
          compute(book, slot, next.slice(0, from + 1 + seeded.below(400)), from - back)
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError)
          open.set(slot, tokens)
        }
        known.push([...book.computed(slot)])
      } else if (action === 7) {
        const positions = book.computed(slot).length
        const child = positions === 0 ? undefined : book.fork(slot, positions, positions + 300)
        if (child !== undefined) {
          open.set(child, [...book.computed(slot), ...text(seeded.below(300), seeded.below(9))])
        }
      } else {
        closed.push([...book.computed(slot)])
        book.close(slot, open.get(slot) ?? [])
        open.delete(slot)
      }
      expectOwnBlocks(book, windows.length)
    }
    for (const [slot, tokens] of open) book.close(slot, tokens)
    book.settle()
    for (const { pool, promised, available } of book.groups) {
      expect([promised, available]).toEqual([0, blocks])
      expect(pool.free + pool.kept).toBe(blocks)
      expect(pool.droppable).toBe(pool.kept)
    }
    book.forget()
    for (const { pool } of book.groups) expect([pool.free, pool.kept]).toEqual([blocks, 0])
  })
})

/** What a sequence writes to next is nobody else's, and what sequences have adds up. */
function expectOwnBlocks(book: SequenceBook, groups: number): void {
  for (let group = 0; group < groups; group++) {
    const { pool, available } = book.groups[group]
    const users = new Map<number, number>()
    for (const slot of book.openSlots) {
      for (const block of book.blocks(slot, group)) {
        if (block >= 0) users.set(block, (users.get(block) ?? 0) + 1)
      }
    }
    for (const slot of book.openSlots) {
      const length = book.computed(slot).length
      const block = book.blocks(slot, group)[Math.floor(length / BLOCK)]
      if (length % BLOCK !== 0) expect(users.get(block)).toBe(1)
    }
    expect(available).toBeGreaterThanOrEqual(0)
    expect(pool.size - pool.free).toBeGreaterThanOrEqual(users.size)
  }
}
