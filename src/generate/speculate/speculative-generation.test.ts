// Prompt lookup from prompt to result, on a mock engine: the same text in fewer passes.
import { describe, expect, test } from 'vitest'
import { answers, EOT, MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { UsageError } from '../../errors.ts'
import type { GenerateOptions, GenerateResult } from '../options.ts'

const chat = [{ role: 'user', content: 'hi' }] as const
const song = 'row, row, row your boat, row, row, row your boat, row, row, row your boat, gently'

/** What must not depend on guessing: all but times and the tally. */
function comparable({ timings, speculation, ...result }: GenerateResult) {
  return result
}

/** Cycles through the seven letters from h to n, most of the time. */
function almostPeriodic(tokens: readonly number[]): number | undefined {
  return tokens.length % 23 === 0 ? undefined : 104 + (tokens.length % 7)
}

describe('prompt lookup', () => {
  test('gives the same text in fewer passes and reports what it did', async () => {
    const script = answers(song)
    const plain = new MockEngine({ script })
    const engine = new MockEngine({ script })
    const expected = await mockModel(plain).generate(chat).result
    const result = await mockModel(engine).generate(chat, { speculate: true }).result
    expect(result.text).toBe(song)
    expect(comparable(result)).toMatchObject({ tokenIds: expected.tokenIds, finishReason: 'stop' })
    expect(expected.speculation).toBeUndefined()
    expect(result.speculation?.passes).toBe(engine.passes.length)
    expect(engine.passes.length).toBeLessThan(0.7 * plain.passes.length)
    const { proposed = 0, accepted = 0, acceptanceRate } = result.speculation ?? {}
    // Each pass gives a token of its own; the end token is one of them.
    expect(accepted).toBe(song.length + 1 - engine.passes.length)
    expect(acceptanceRate).toBe(accepted / proposed)
  })

  const settings: GenerateOptions[] = [
    { temperature: 0 },
    { temperature: 0.9, topK: 12 },
    { temperature: 1.2, topP: 0.8, minP: 0.01 },
    { temperature: 0, repetitionPenalty: 1.4, frequencyPenalty: 300 },
    { temperature: 0.7, presencePenalty: 500, frequencyPenalty: 100 },
    { temperature: 0.7, stop: ['hijk', 'zz'] },
    { temperature: 0, maxTokens: 7 },
    { temperature: 0.5, maxTokens: 400 },
  ]
  test.each(settings)('changes no token with %j, whatever the seed', async (options) => {
    let accepted = 0
    for (let seed = 0; seed < 6; seed++) {
      const results = []
      for (const speculate of [false, true, { maxTokens: 1 }, { maxTokens: 40 }]) {
        const engine = new MockEngine({ script: almostPeriodic, contextLength: 128, maxRows: 24 })
        const request = { maxTokens: 60, seed, ...options, speculate }
        const result = await mockModel(engine).generate('ijklmnhijklmnh', request).result
        results.push(comparable(result))
        accepted += result.speculation?.accepted ?? 0
      }
      for (const result of results) expect(result).toEqual(results[0])
    }
    expect(accepted).toBeGreaterThan(0)
  })

  test('never feeds a position that the answer cannot have', async () => {
    const script = () => 97
    for (const maxTokens of [1, 2, 3, 15, 16, 17]) {
      const engine = new MockEngine({ script, contextLength: 32 })
      const options = { maxTokens, temperature: 0, speculate: { maxTokens: 64 } }
      const result = await mockModel(engine).generate('a'.repeat(15), options).result
      expect(result.text).toBe('a'.repeat(Math.min(maxTokens, 16)))
      expect(result.finishReason).toBe('length')
    }
  })

  test('stays within the rows of a pass', async () => {
    for (const maxRows of [1, 2, 5]) {
      const engine = new MockEngine({ script: () => 97, maxRows })
      const options = { maxTokens: 20, speculate: true }
      const result = await mockModel(engine).generate('aaaaaa', options).result
      expect(result.text).toBe('a'.repeat(20))
      expect(Math.max(...engine.passes.map((pass) => pass.rows))).toBe(maxRows)
    }
  })

  test('ends at an end token that was guessed, and the next turn goes on as without', async () => {
    const script = answers('la la la la la la', 'la la la la la la', 'la la la')
    const runs = []
    for (const speculate of [false, true]) {
      const engine = new MockEngine({ script })
      const session = mockModel(engine).chat()
      const results = []
      for (const text of ['sing', 'again', 'once more']) {
        results.push(comparable(await session.send(text, { speculate }).result))
      }
      runs.push({ results, passes: engine.passes.length })
      expect(results.map((result) => result.finishReason)).toEqual(['stop', 'stop', 'stop'])
      expect(results[2].tokenIds).not.toContain(EOT)
    }
    expect(runs[1].results.map((result) => ({ ...result, seed: 0 }))).toEqual(
      runs[0].results.map((result) => ({ ...result, seed: 0 })),
    )
    expect(runs[1].passes).toBeLessThan(runs[0].passes)
  })

  test('in a batch gives each prompt what it gives alone', async () => {
    const prompts = ['abcabcabc', 'xyxyxyxy', 'abcdefgabcdefg', 'no', 'mmmmmm']
    const script = (tokens: readonly number[]) =>
      tokens.length % 9 === 0 ? undefined : tokens[tokens.length - 3]
    const options = { maxTokens: 30, seed: 3, parallel: 3 }
    const plain = new MockEngine({ script })
    const engine = new MockEngine({ script })
    const expected = await mockModel(plain).generateBatch(prompts, options)
    const results = await mockModel(engine).generateBatch(prompts, { ...options, speculate: true })
    expect(results.map(comparable)).toEqual(expected.map(comparable))
    expect(results.some((result) => (result.speculation?.accepted ?? 0) > 5)).toBe(true)
    expect(engine.passes.length).toBeLessThan(plain.passes.length)
  })

  test('keeps what was accepted when it is cancelled', async () => {
    const engine = new MockEngine({ script: () => 97 })
    const controller = new AbortController()
    engine.beforePass = (pass) => (pass === 3 ? controller.abort() : undefined)
    const options = { maxTokens: 200, speculate: true, signal: controller.signal }
    const result = await mockModel(engine).generate('aaaa', options).result
    expect(result.finishReason).toBe('cancelled')
    expect(engine.passes).toHaveLength(4)
    expect(result.tokenIds).toHaveLength(4 + (result.speculation?.accepted ?? 0))
    expect(result.text).toBe('a'.repeat(result.tokenIds.length))
  })

  test.each<[unknown, string]>([
    ['yes', 'Expected speculate to be true, false or an object, got "yes" (string).'],
    [null, 'Expected speculate to be true, false or an object, got null.'],
    [{ maxTokens: 0 }, 'Expected speculate.maxTokens to be an integer from 1 to 64, got 0.'],
    [{ maxTokens: 65 }, 'Expected speculate.maxTokens to be an integer from 1 to 64, got 65.'],
  ])('refuses %j as an option', async (speculate, message) => {
    const options = { speculate } as GenerateOptions
    const refused = mockModel(new MockEngine()).generate('x', options).result
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow(message)
  })
})
