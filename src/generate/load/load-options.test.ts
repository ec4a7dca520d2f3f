/** The table of load options: what is refused, and what identifies results. */
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../errors.ts'
import {
  checkLoadOptions,
  type LoadSettings,
  loadOptions,
  pickLoadSettings,
  resultSettings,
} from './load-options.ts'

describe('checkLoadOptions', () => {
  test('takes every name of the table, and what is unset', () => {
    for (const [name, { takes }] of loadOptions) {
      if (typeof takes === 'string') continue
      for (const value of takes) expect(() => checkLoadOptions({ [name]: value })).not.toThrow()
    }
    checkLoadOptions({ threads: 3, isa: 'x86-avx2', image: false, kv: undefined })
  })

  test.each([
    [{ head: 'q4' }, 'Expected head to be f16, int8, int4, got "q4".'],
    [{ kv: 'q8' }, 'Expected kv to be f32, f16, int8, int4, got "q8".'],
    [{ matmulPrecision: 'f32' }, 'Expected matmulPrecision to be high, highest, got "f32".'],
    [{ weights: 2 }, 'Expected weights to be auto, 2bit, base3, got 2.'],
    [{ threads: 0 }, 'Expected threads to be a whole number from 1 on, got 0.'],
    [{ threads: 1.5 }, 'Expected threads to be a whole number from 1 on, got 1.5.'],
  ])('refuses %o', (options, message) => {
    const check = () => checkLoadOptions(options as LoadSettings)
    expect(check).toThrow(UsageError)
    expect(check).toThrow(message)
  })
})

test('pickLoadSettings takes what is set, and nothing else', () => {
  const flags = { model: 'a.gguf', kv: 'int8', image: false, head: undefined } as const
  expect(pickLoadSettings(flags)).toEqual({ kv: 'int8', image: false })
})

test('results depend on precisions, and not on what computes them', () => {
  expect(resultSettings({ threads: 2, isa: 'wasm-simd', weights: 'base3' })).toEqual([
    'auto',
    'f16',
    'high',
  ])
  expect(resultSettings({ kv: 'f32', head: 'int8' })).toEqual(['int8', 'f32', 'high'])
})
