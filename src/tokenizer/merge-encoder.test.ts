/** Merging by rank against the definition: join the best pair, again and again. */
import { expect, test } from 'vitest'
import { finish } from '../steps.ts'
import { mergeEncoder } from './merge-encoder.ts'

function encode(ranks: Record<string, number>, text: string) {
  const ids = new Map(Object.entries(ranks))
  const out: number[] = []
  const unknown: string[] = []
  finish(mergeEncoder(ids, (id) => id)(text, out, (character) => unknown.push(character)))
  return { out, unknown }
}

test('the best-ranked join is made first', () => {
  expect(encode({ a: 0, b: 1, c: 2, bc: 3, ab: 4 }, 'abc').out).toEqual([0, 3])
  expect(encode({ a: 0, b: 1, c: 2, bc: 4, ab: 3 }, 'abc').out).toEqual([3, 2])
})

test('of equal joins the leftmost is made first', () => {
  expect(encode({ a: 0, aa: 1 }, 'aaa').out).toEqual([1, 0])
  expect(encode({ a: 0, aa: 1 }, 'aaaaa').out).toEqual([1, 1, 0])
})

test('joins build on joins', () => {
  expect(encode({ a: 0, b: 1, ab: 2, abab: 3 }, 'abababab').out).toEqual([3, 3])
})

test('characters that are no pieces are reported whole, in their order', () => {
  expect(encode({ a: 0 }, 'é😀a日')).toEqual({ out: [0], unknown: ['é', '😀', '日'] })
})

test('nothing encodes to nothing', () => {
  expect(encode({ a: 0 }, '')).toEqual({ out: [], unknown: [] })
})

test('random texts give what joining one pair at a time gives', () => {
  const ranks: Record<string, number> = { a: 0, b: 1, c: 2 }
  const pieces = ['ab', 'ca', 'bb', 'aba', 'cab', 'abc', 'bbbb', 'cabc', 'abab', 'ababcab']
  for (const [i, piece] of pieces.entries()) ranks[piece] = 3 + ((i * 7) % pieces.length)
  let seed = 1
  for (let round = 0; round < 300; round++) {
    let text = ''
    for (let i = 0; i < round % 40; i++) {
      seed = (seed * 1103515245 + 12345) % 2 ** 31
      text += 'abc'[(seed >> 16) % 3]
    }
    expect(encode(ranks, text).out, text).toEqual(joinOneByOne(ranks, text))
  }
})

function joinOneByOne(ranks: Record<string, number>, text: string): number[] {
  const symbols = Array.from(text)
  for (;;) {
    let best = -1
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = ranks[symbols[i] + symbols[i + 1]]
      if (rank === undefined) continue
      if (best < 0 || rank < ranks[symbols[best] + symbols[best + 1]]) best = i
    }
    if (best < 0) return symbols.map((symbol) => ranks[symbol])
    symbols.splice(best, 2, symbols[best] + symbols[best + 1])
  }
}
