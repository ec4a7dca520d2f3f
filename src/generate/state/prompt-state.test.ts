// Saved states: what comes back, what is refused, and that no file breaks anything.
import { describe, expect, test, vi } from 'vitest'
import { MockEngine } from '../../../test/support/mock-engine.ts'
import { mockModel } from '../../../test/support/mock-model.ts'
import { randomFrom } from '../../../test/support/random-texts.ts'
import { BitnetError, FormatError, UsageError } from '../../errors.ts'
import { saveState } from './save-state.ts'
import { encodeState, readState } from './state-file.ts'

const PROMPT = 'a prompt of which much is computed, long enough for a few units of sixteen tokens'
const options = { maxTokens: 12, seed: 3 }

async function stateOf(engine = new MockEngine()): Promise<Uint8Array> {
  const model = mockModel(engine)
  await model.generate(PROMPT, options).result
  return model.saveState(PROMPT)
}

describe('a saved state', () => {
  test('lets another process go on from what is computed, with the same text', async () => {
    const bytes = await stateOf()
    const expected = await mockModel(new MockEngine()).generate(`${PROMPT} and more`, options)
      .result
    const model = mockModel(new MockEngine())
    const report = await model.loadState(bytes)
    expect(report).toEqual({ tokens: 82, cachedTokens: 80 })
    const result = await model.generate(`${PROMPT} and more`, options).result
    expect(result.usage.cachedTokens).toBe(80)
    expect(result.text).toBe(expected.text)
    expect(model.stats().cache.sequences).toBe(0)
  })

  test('may be taken of tokens, and of what nobody has computed', async () => {
    const model = mockModel(new MockEngine())
    const { promptTokenIds } = await model.generate(PROMPT, options).result
    expect(await model.saveState(promptTokenIds)).toEqual(await model.saveState(PROMPT))
    const nothing = await model.saveState('something else')
    expect(await mockModel(new MockEngine()).loadState(nothing)).toMatchObject({ cachedTokens: 0 })
    await expect(model.saveState([3, 9999])).rejects.toThrow('ids from 0 to 261, got 9999')
    await expect(model.saveState(7 as never)).rejects.toThrow(UsageError)
    await expect(model.loadState('text' as never)).rejects.toThrow('Expected the state to be bytes')
  })

  test('is saved and loaded between the passes of whoever runs', async () => {
    const bytes = await stateOf()
    const model = mockModel(new MockEngine())
    const running = model.generate('another', { maxTokens: 60, seed: 1 })
    await running[Symbol.asyncIterator]().next()
    await Promise.all([model.loadState(bytes), model.saveState(PROMPT)])
    const alone = mockModel(new MockEngine()).generate('another', { maxTokens: 60, seed: 1 })
    expect((await running.result).text).toBe((await alone.result).text)
  })

  test.each([
    ['runs', true],
    ['waits for its reader', false],
  ])('finds room in a cache that is full of one who %s', async (_, isAwaited) => {
    const bytes = await stateOf()
    const model = mockModel(new MockEngine({ blocks: 2, contextLength: 512 }))
    const running = model.generate('x', { maxTokens: 300, seed: 1 })
    await running[Symbol.asyncIterator]().next()
    const result = isAwaited ? running.result : undefined
    expect(await model.loadState(bytes)).toMatchObject({ cachedTokens: 80 })
    expect((await (result ?? running.result)).finishReason).toBe('length')
  })
})

test('nothing is copied while there is no room to tell the model by', async () => {
  const engine = new MockEngine({ blocks: 2, contextLength: 512 })
  const copyOut = vi.spyOn(engine.cache, 'copyOut')
  const opened = engine.cache.open([], 512)
  expect(await saveState(engine, [1, 2, 3])).toBeUndefined()
  expect(copyOut).not.toHaveBeenCalled()
  engine.cache.close(opened?.slot ?? -1, [])
  expect(await saveState(engine, [1, 2, 3])).toBeInstanceOf(Uint8Array)
})

describe('a state is refused', () => {
  test.each([
    ['of a model that computes other numbers', { salt: 1 }, 'a model that computes other numbers'],
  ])('%s', async (_, shape, message) => {
    const model = mockModel(new MockEngine(shape))
    const refused = model.loadState(await stateOf())
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow(message)
    expect((await model.generate(PROMPT, options).result).usage.cachedTokens).toBe(0)
  })

  test('of another vocabulary, cache type, length or number of layers', async () => {
    const state = await readState(await stateOf())
    const { content } = state
    for (const change of [
      { vocabSize: 300 },
      { content: { ...content, type: 'int8' as const } },
      { content: { ...content, nLayers: 2 } },
      { content: { ...content, window: { positions: 8, layers: [0] } } },
      { bytes: state.bytes.subarray(1) },
      { computed: 79 },
      { computed: 64 },
    ]) {
      const file = await encodeState({ ...state, ...change })
      const refused = mockModel(new MockEngine()).loadState(file)
      await expect(refused, JSON.stringify(change)).rejects.toThrow(UsageError)
    }
  })

  test('that names more tokens than it has, or tokens that there are not', async () => {
    const state = await readState(await stateOf())
    for (const change of [
      { computed: 1e6 },
      { computed: -1 },
      { computed: 0.5 },
      { tokens: state.tokens.map((id) => id + 200) },
      { fingerprint: 7 as never },
      { content: [] as never },
    ]) {
      const refused = encodeState({ ...state, ...change }).then(readState)
      await expect(refused, JSON.stringify(change)).rejects.toThrow(FormatError)
    }
  })

  test('of another version or kind, or cut anywhere', async () => {
    const file = await stateOf()
    const other = file.slice()
    other[8] = 99
    await expect(readState(other)).rejects.toThrow('Expected version 1, got 99')
    for (let length = 0; length < file.length; length += 7) {
      await expect(readState(file.subarray(0, length))).rejects.toThrow(FormatError)
    }
  })

  test('wherever a bit of it is another', async () => {
    const file = await stateOf()
    const model = mockModel(new MockEngine())
    const random = randomFrom(5)
    for (let i = 0; i < 300; i++) {
      const damaged = file.slice()
      damaged[Math.floor(random() * damaged.length)] ^= 1 << Math.floor(random() * 8)
      const loaded = await model.loadState(damaged).catch((error: unknown) => error)
      // Bytes 20 to 31 mean nothing.
      if (loaded instanceof Error) expect(loaded).toBeInstanceOf(BitnetError)
      else expect([...damaged.subarray(20, 32)].some((byte) => byte !== 0)).toBe(true)
    }
  })
})
