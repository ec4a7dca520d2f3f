/**
 * What guesses gain, with models that are scripts: what they answer, how fast, and after how many passes.
 */
import { expect, test } from 'vitest'
import { UsageError } from '../errors.ts'
import type { LanguageModel, Prompt } from '../generate/language-model.ts'
import type { GenerateOptions, GenerateResult, Generation } from '../generate/options.ts'
import { measureSpeculation } from './speculation-gain.ts'

interface Script {
  readonly tokenIds: readonly number[]
  readonly guessedIds?: readonly number[]
}

/** Plain answers come with 100 tokens/s, 101, and so on; those with guesses with 200, 201, ... */
function scripted({ tokenIds, guessedIds = tokenIds }: Script) {
  const asked: GenerateOptions[] = []
  const counts = { plain: 0, guessed: 0 }
  const generate = (_prompt: Prompt, options: GenerateOptions = {}): Generation => {
    asked.push(options)
    const isGuessing = options.speculate === true || options.draft !== undefined
    const ids = isGuessing ? guessedIds : tokenIds
    const rate = isGuessing ? 200 + counts.guessed++ : 100 + counts.plain++
    const report = { proposed: 8, accepted: 6, acceptanceRate: 0.75, passes: ids.length / 2 }
    const result = {
      tokenIds: ids,
      usage: { promptTokens: 5, completionTokens: ids.length, totalTokens: 0, cachedTokens: 0 },
      timings: { decodeTokensPerSecond: rate },
      ...(isGuessing ? { speculation: report } : {}),
    } as unknown as GenerateResult<never>
    const tokens = () => ({ async *[Symbol.asyncIterator]() {} })
    return { result: Promise.resolve(result), tokens, ...tokens() }
  }
  return { model: { generate } as unknown as LanguageModel, asked }
}

const RUN = { prompt: 'a b a', maxTokens: 4, runs: 2, signal: new AbortController().signal }

test('speeds, acceptance and tokens a pass are of the counted answers, in turns', async () => {
  const { model, asked } = scripted({ tokenIds: [1, 2, 3, 4] })
  const draft = { name: 'small' } as LanguageModel
  const gains = await measureSpeculation(model, { ...RUN, guessers: ['lookup', draft] })
  expect(gains.map(({ guesser }) => guesser)).toEqual(['prompt lookup', 'small'])
  expect(gains[0]).toMatchObject({
    promptTokens: 5,
    tokens: 4,
    acceptanceRate: 0.75,
    tokensPerPass: 2,
    // The first answer of each way warms up.
    plainTokensPerSecond: { mean: 101.5 },
    tokensPerSecond: { mean: (202 + 204) / 2 },
  })
  const ways = asked.map(({ speculate, draft: by }) =>
    by ? 'draft' : speculate ? 'lookup' : 'none',
  )
  expect(ways).toEqual([0, 1, 2].flatMap(() => ['none', 'lookup', 'draft']))
  expect(asked.every(({ temperature }) => temperature === 0)).toBe(true)
})

test('a text that guesses have changed is no result', async () => {
  const { model } = scripted({ tokenIds: [1, 2, 3], guessedIds: [1, 2, 4] })
  const measured = measureSpeculation(model, { ...RUN, guessers: ['lookup'] })
  await expect(measured).rejects.toThrow('changed a greedy text')
})

test('an answer of one token has no speed, which is said', async () => {
  const { model } = scripted({ tokenIds: [1] })
  const measured = measureSpeculation(model, { ...RUN, guessers: ['lookup'] })
  await expect(measured).rejects.toThrow(UsageError)
  await expect(measured).rejects.toThrow(/two tokens or more .* got 1\. Give another prompt/)
})

test('stops between two answers when it is told to', async () => {
  const { model, asked } = scripted({ tokenIds: [1, 2] })
  const controller = new AbortController()
  const { signal } = controller
  const onStep = () => controller.abort(new Error('enough'))
  const measured = measureSpeculation(model, { ...RUN, guessers: ['lookup'], signal, onStep })
  await expect(measured).rejects.toThrow('enough')
  expect(asked).toHaveLength(1)
})
