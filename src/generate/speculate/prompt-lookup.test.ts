// What is guessed from repetitions, and how trust in it rises and falls.
import { describe, expect, test } from 'vitest'
import { ALL_TOKENS } from '../../../test/support/mock-model.ts'
import { Random } from '../sample/random.ts'
import { PromptLookup } from './prompt-lookup.ts'

const draw = { settings: { ...ALL_TOKENS, temperature: 0 }, seed: 1, answerStart: 0 }
const { signal } = new AbortController()

async function guessAfter(lookup: PromptLookup, tokens: readonly number[], each = 0) {
  return lookup.guess({ tokens, limit: 8, cost: { start: 0, each }, draw, signal })
}

async function lookupOf(prompt: readonly number[]): Promise<PromptLookup> {
  const lookup = new PromptLookup(8)
  await lookup.prepare(prompt)
  return lookup
}

/** Guesses for the text of characters, as characters. */
async function guessText(text: string): Promise<string> {
  const tokens = Array.from(text, (c) => c.charCodeAt(0))
  return String.fromCharCode(...(await guessAfter(await lookupOf(tokens), tokens)))
}

describe('the guess', () => {
  test('is what followed the same end of the text before', async () => {
    expect(await guessText('the quick brown fox; the quick')).toBe(' brown f')
  })

  test('follows the longest match, and the latest of equally long ones', async () => {
    expect(await guessText('xabcde1 .. abcde2 .. xabcde')).toMatch(/^1/)
    expect(await guessText('abcde1 .. abcde2 .. -abcde')).toMatch(/^2/)
  })

  test('goes on with a period that is shorter than the guess', async () => {
    expect(await guessText('la la la')).toBe(' la la l')
    expect(await guessText('mmmmmmm')).toBe('mmmmmmmm')
  })

  test.each(['', 'a', 'ab', 'abcdefgh', 'a-b-'])('is none after %j', async (text) => {
    expect(await guessText(text)).toBe('')
  })

  test('has no more tokens than asked for', async () => {
    const tokens = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5]
    const lookup = await lookupOf(tokens)
    const request = { tokens, cost: { start: 0, each: 0.01 }, draw, signal }
    expect(await lookup.guess({ ...request, limit: 1 })).toEqual([6])
    const short = new PromptLookup(2)
    await short.prepare(tokens)
    expect(await short.guess({ ...request, limit: 8 })).toEqual([6, 7])
  })

  test('agrees with a plain search over texts of few letters', async () => {
    const random = new Random(5)
    for (let round = 0; round < 60; round++) {
      const tokens = Array.from({ length: 40 }, () => random.nextUint32() % 3)
      const [first] = await guessAfter(await lookupOf(tokens), tokens, 0)
      expect(first).toBe(plainGuess(tokens))
    }
  })
})

/** The token after the longest earlier match of the end, the latest of equals. */
function plainGuess(tokens: readonly number[]): number | undefined {
  for (let length = 32; length >= 2; length--) {
    const end = tokens.slice(-length).join()
    for (let next = tokens.length - 1; next >= length; next--) {
      if (tokens.slice(next - length, next).join() === end) return tokens[next]
    }
  }
  return undefined
}

describe('trust', () => {
  /** A text in which 1 2 3 comes again and again, each time followed by another token. */
  const misleading = Array.from({ length: 30 }, (_, i) => [1, 2, 3, 100 + i]).flat()

  test('ends when guesses turn out wrong, and costs no more from then on', async () => {
    const tokens = [...misleading.slice(0, 8)]
    const lookup = await lookupOf(tokens)
    let wrong = 0
    for (const token of misleading.slice(8)) {
      const [first] = await guessAfter(lookup, tokens, 0.35)
      if (first !== undefined && first !== token) wrong++
      tokens.push(token)
    }
    expect(wrong).toBeLessThanOrEqual(3)
  })

  test('returns by itself when the text begins to repeat, without a guess being fed', async () => {
    const tokens = [...misleading]
    const lookup = await lookupOf([])
    expect(await guessAfter(lookup, [...tokens, 1, 2, 3], 0.35)).toEqual([])
    tokens.push(1, 2, 3)
    const passage = Array.from({ length: 40 }, (_, i) => 200 + i)
    for (const token of [...passage, ...passage.slice(0, 20)]) tokens.push(token)
    const ids = await guessAfter(lookup, tokens, 0.35)
    expect(ids.length).toBeGreaterThan(3)
    expect(ids).toEqual(passage.slice(20, 20 + ids.length))
  })
})
