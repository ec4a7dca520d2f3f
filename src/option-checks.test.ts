/** Names and values of options: what is refused, and which name a message leads to. */
import { describe, expect, test } from 'vitest'
import { UsageError } from './errors.ts'
import {
  COUNT,
  checkOptions,
  listOf,
  type OptionRules,
  oneOf,
  optionsOf,
  SIGNAL,
  SWITCH,
} from './option-checks.ts'

interface Options {
  readonly maxTokens?: number
  readonly topP?: number
  readonly temperature?: number
  readonly kv?: string
  readonly names?: readonly string[]
  readonly draft?: boolean | { readonly size?: number }
  readonly signal?: AbortSignal
}

const RULES: OptionRules<Options> = {
  maxTokens: { ...COUNT, also: ['max_length', 'max_new_tokens'] },
  topP: { expected: 'a number', holds: (value) => typeof value === 'number' },
  temperature: { expected: 'a number', holds: Number.isFinite, also: ['do_sample'], hint: 'any' },
  kv: oneOf(['f16', 'int8']),
  names: listOf(['a', 'b']),
  draft: {
    ...optionsOf({ size: COUNT }),
    holds: (value) => SWITCH.holds(value) || value instanceof Object,
  },
  signal: SIGNAL,
}

const check = (options: object) => () => checkOptions('run', options as Options, RULES)

describe('checkOptions', () => {
  test('takes every option, unset ones, and an object without a prototype', () => {
    check({})()
    check({ maxTokens: 1, topP: 0, kv: 'int8', names: ['b'], draft: { size: 2 } })()
    check({ temperature: undefined, draft: true, signal: new AbortController().signal })()
    check(Object.assign(Object.create(null), { topP: 1 }))()
  })

  test.each([
    ['max_length', 'maxTokens'],
    ['MAX_NEW_TOKENS', 'maxTokens'],
    ['max_new_tokns', 'maxTokens'],
    ['maxtokens', 'maxTokens'],
    ['max-tokens', 'maxTokens'],
    ['maxTokesn', 'maxTokens'],
    ['top_p', 'topP'],
    ['tempreature', 'temperature'],
    ['temp', 'temperature'],
    ['kw', 'kv'],
    ['singal', 'signal'],
  ])('leads from %s to %s', (wrong, right) => {
    expect(check({ [wrong]: 1 })).toThrow(UsageError)
    expect(check({ [wrong]: 1 })).toThrow(`an option of run, got "${wrong}". Use ${right}, `)
    expect(check({ [wrong]: undefined })).toThrow(`Use ${right}, `)
  })

  test('says what a foreign name stands for, and all names where none is near', () => {
    expect(check({ do_sample: false })).toThrow('Use temperature, a number: any.')
    expect(check({ num_beams: 4 })).toThrow(
      'Expected an option of run, got "num_beams". There are maxTokens, topP, temperature, kv, ' +
        'names, draft, signal.',
    )
    expect(check({ draft: { sise: 1 } })).toThrow('got "draft.sise". Use draft.size, a whole')
  })

  test.each([
    [{ kv: 'q8' }, 'Expected kv to be f16, int8, got "q8".'],
    [{ kv: 8 }, 'Expected kv to be f16, int8, got 8.'],
    [{ maxTokens: '8' }, 'Expected maxTokens to be a whole number from 1 on, got "8" (string).'],
    [{ maxTokens: null }, 'got null.'],
    [{ maxTokens: true }, 'got true.'],
    [{ names: 'a' }, 'Expected names to be a list of a, b, got "a" (string).'],
    [{ names: ['a', 'c'] }, 'Expected names to be a list of a, b, got a value of type object.'],
    [{ draft: { size: 0 } }, 'Expected draft.size to be a whole number from 1 on, got 0.'],
    [{ signal: {} }, 'Expected signal to be an AbortSignal, got a value of type object.'],
  ])('refuses %o', (options, message) => {
    expect(check(options)).toThrow(UsageError)
    expect(check(options)).toThrow(message)
  })

  test.each([null, 'maxTokens', 3, [], () => {}])('refuses %o for an object', (options) => {
    expect(check(options as object)).toThrow('Expected options to be an object, got')
  })

  test('takes no name from the prototype of objects, and no long one apart', () => {
    expect(check({ toString: 1 })).toThrow('got "toString"')
    expect(check(JSON.parse('{"__proto__": 1}'))).toThrow('got "__proto__"')
    const long = `${'m'.repeat(1e6)}\u001b[31m`
    expect(check({ [long]: 1 })).toThrow(`got "${'m'.repeat(40)}".`)
    expect(check({ '\u001b[31m': 1 })).toThrow('got "\\u001b[31m".')
  })
})
