// Option checks: each range's edges, the form of the message, and the model's defaults.
import { describe, expect, test } from 'vitest'
import { UsageError } from '../errors.ts'
import type { GenerateOptions } from './options.ts'
import { resolveOptions, validateGenerateOptions } from './validate-options.ts'

const refused: [string, unknown, string][] = [
  ['temperature', -1, 'Expected temperature to be a finite number >= 0, got -1.'],
  ['temperature', Number.NaN, 'Expected temperature to be a finite number >= 0, got NaN.'],
  ['temperature', '0.7', 'Expected temperature to be a finite number >= 0, got "0.7" (string).'],
  ['topK', 1.5, 'Expected topK to be an integer >= 0, got 1.5.'],
  ['topP', 0, 'Expected topP to be a number > 0 and <= 1, got 0.'],
  ['topP', 1.01, 'Expected topP to be a number > 0 and <= 1, got 1.01.'],
  ['minP', 1, 'Expected minP to be a number >= 0 and < 1, got 1.'],
  ['repetitionPenalty', 0, 'Expected repetitionPenalty to be a finite number > 0, got 0.'],
  ['frequencyPenalty', Number.POSITIVE_INFINITY, 'a finite number, got Infinity.'],
  ['presencePenalty', null, 'a finite number, got null.'],
  ['seed', -1, 'Expected seed to be an integer from 0 to 9007199254740991, got -1.'],
  ['seed', 2 ** 53, 'got 9007199254740992.'],
  ['maxTokens', 0, 'Expected maxTokens to be an integer >= 1, got 0.'],
  ['stop', 'end', 'Expected stop to be an array of strings, got "end" (string).'],
  [
    'stop',
    ['a', ''],
    'Expected stop to be an array of strings that are not empty, got "" (string).',
  ],
  ['signal', {}, 'Expected signal to be an AbortSignal, got a value of type object.'],
]

describe('validateGenerateOptions', () => {
  test.each(refused)('refuses %s = %j', (name, value, message) => {
    const options = { [name]: value } as GenerateOptions
    expect(() => validateGenerateOptions(options)).toThrow(UsageError)
    expect(() => validateGenerateOptions(options)).toThrow(message)
  })

  test('accepts the edges of every range', () => {
    validateGenerateOptions({})
    validateGenerateOptions({ temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0, maxTokens: 1 })
    validateGenerateOptions({
      topP: Number.MIN_VALUE,
      minP: 0.999,
      repetitionPenalty: 0.5,
      frequencyPenalty: -2,
      presencePenalty: -2,
      seed: Number.MAX_SAFE_INTEGER,
      stop: ['\n'],
      signal: new AbortController().signal,
    })
    const unset = { temperature: undefined, stop: undefined } as unknown as GenerateOptions
    expect(() => validateGenerateOptions(unset)).not.toThrow()
  })
})

describe('resolveOptions', () => {
  const defaults = {
    temperature: 0.7,
    topK: 40,
    topP: 0.9,
    minP: 0.01,
    repetitionPenalty: 1.1,
    frequencyPenalty: 0.2,
    presencePenalty: 0.3,
  }

  test('takes what is unset from the model and draws a seed', () => {
    const resolved = resolveOptions({}, defaults)
    expect(resolved.sampling).toEqual(defaults)
    expect(resolved.maxTokens).toBe(256)
    expect(resolved.stop).toEqual([])
    expect(Number.isSafeInteger(resolved.seed)).toBe(true)
  })

  test('lets the caller set any field, zero included', () => {
    const asked = { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0, maxTokens: 3, stop: ['x'] }
    const resolved = resolveOptions(asked, defaults)
    expect(resolved.sampling).toMatchObject({ temperature: 0, topK: 0, topP: 1, minP: 0 })
    expect(resolved).toMatchObject({ seed: 0, maxTokens: 3, stop: ['x'] })
  })
})
