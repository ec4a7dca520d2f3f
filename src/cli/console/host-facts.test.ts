import { expect, test } from 'vitest'
import { bytesBeyondCaches } from './host-facts.ts'

test('memory is measured with a sixteenth of what is free, within bounds', () => {
  expect(bytesBeyondCaches(2 ** 31, 2 ** 34)).toBe(2 ** 30)
  expect(bytesBeyondCaches(2 ** 29, 2 ** 34)).toBe(2 ** 29)
  expect(bytesBeyondCaches(2 ** 31, 2 ** 40)).toBe(2 ** 31)
  expect(bytesBeyondCaches(2 ** 31, 0)).toBe(2 ** 26)
})
