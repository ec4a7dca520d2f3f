/**
 * --speculate and --draft: what reaches the model, what is freed, and what is said about it.
 */
import { describe, expect, test } from 'vitest'
import { mockSurroundings } from '../../../test/support/mock-language-model.ts'
import type { GenerateResult } from '../../generate/options.ts'
import { command as chat } from '../commands/chat/chat.ts'
import { command as generate } from '../commands/generate/generate.ts'
import { batchSpeedLine, speedLine } from '../console/speed-lines.ts'

describe('--speculate', () => {
  test('reaches the model in generate and chat, and is left to the model otherwise', async () => {
    const mock = mockSurroundings({ input: 'a\n' })
    await generate.run({ prompt: 'a', speculate: true }, mock)
    await chat.run({ speculate: true }, mock)
    expect(mock.calls.options).toMatchObject([{ speculate: true }, { speculate: true }])
    const plain = mockSurroundings()
    await generate.run({ prompt: 'a' }, plain)
    expect(plain.calls.options[0]).not.toHaveProperty('speculate')
    expect(plain.calls.options[0]).not.toHaveProperty('draft')
  })
})

describe('--draft', () => {
  test('loads a second model on the same backend, for all answers, and frees both', async () => {
    const mock = mockSurroundings({ input: 'a\nb\n' })
    await chat.run({ model: 'large', draft: 'small', backend: 'reference' }, mock)
    expect(mock.calls.loads).toMatchObject([
      { source: 'large', options: { backend: 'reference' } },
      { source: 'small', options: { backend: 'reference' } },
    ])
    expect(mock.calls.options).toHaveLength(2)
    for (const options of mock.calls.options) expect(options.draft?.name).toBe('mock-model')
    expect(mock.calls.disposed).toBe(2)
  })

  test('that cannot be loaded frees the model', async () => {
    const mock = mockSurroundings()
    const failing = {
      ...mock,
      loadModel: (...call: Parameters<typeof mock.loadModel>) =>
        call[0] === 'small' ? Promise.reject(new Error('no such model')) : mock.loadModel(...call),
    }
    await expect(generate.run({ prompt: 'a', draft: 'small' }, failing)).rejects.toThrow('no such')
    expect(mock.calls.disposed).toBe(1)
  })
})

describe('the speed line', () => {
  async function resultWith(speculation?: GenerateResult['speculation']): Promise<GenerateResult> {
    const model = await mockSurroundings().loadModel(undefined, {})
    const result = await model.generate('one two').result
    return speculation === undefined ? result : { ...result, speculation }
  }

  test('says how many guesses were right, if any were asked for', async () => {
    const report = { proposed: 40, accepted: 30, acceptanceRate: 0.75, passes: 18 }
    const result = await resultWith(report)
    expect(speedLine(result)).toContain('tokens/s · 30 of 40 guesses right, 18 passes · prompt')
    const batch = batchSpeedLine([result, result], 10, result.backend)
    expect(batch).toContain('60 of 80 guesses right')
    expect(speedLine(await resultWith())).not.toContain('guesses')
  })
})
