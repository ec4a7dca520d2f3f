/** What a sequence asks of the draws of a pass. */
import { expect, test } from 'vitest'
import { ByteTokenizer } from '../../../test/support/mock-engine.ts'
import { ALL_TOKENS } from '../../../test/support/mock-model.ts'
import { Sequence, type SequenceFacts } from './sequence.ts'

/** A sequence of two tokens, of which nothing is computed, with room for twenty. */
function sequenceWith(grammar?: SequenceFacts['grammar']): Sequence {
  return new Sequence({
    promptIds: [5, 6],
    options: {
      sampling: ALL_TOKENS,
      seed: 4,
      maxTokens: 9,
      stop: [],
      stopTokens: [],
      logitBias: [[7, 2]],
      logprobs: undefined,
      contextShift: false,
      speculation: undefined,
      schema: undefined,
      orText: undefined,
    },
    positions: 20,
    tokenizer: new ByteTokenizer(),
    maxGuesses: 8,
    wake: () => undefined,
    signal: new AbortController().signal,
    grammar,
  })
}

test('the first token is drawn alone, those behind it as many at once as are left', () => {
  const sequence = sequenceWith()
  sequence.begin(1)
  expect(sequence.steps).toBe(1)
  sequence.fed = 2
  const ids = Int32Array.of(9)
  const none = { logProbs: new Float64Array(0), isBest: new Uint8Array(0) }
  sequence.accept({ tokens: { ids }, steps: 1, scores: none, vectors: new Float32Array(0) })
  expect(sequence.steps).toBe(8)
})

test('a constraint is asked for each draw, with the guesses that it stands behind', () => {
  const asked: (readonly number[])[] = []
  const masks = [Uint32Array.of(1), undefined, Uint32Array.of(3)]
  const sequence = sequenceWith({
    matcher: () => ({
      allowed: (tokens) => masks[asked.push(tokens) - 1],
      isDone: () => false,
      isWhole: () => false,
    }),
  })
  sequence.guesses = [7, 8]
  const draws = [1, 2, 3].map((position) => sequence.drawAt(position))
  expect(asked).toEqual([[], [7], [7, 8]])
  expect(draws.map(({ allowed }) => allowed)).toEqual(masks)
  expect(draws.map(({ seed, answerStart }) => [seed, answerStart])).toEqual(Array(3).fill([4, 2]))
  expect(draws[0].biases?.get(7)).toBe(2)
})
