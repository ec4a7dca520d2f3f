/** Table rows by token. */
import { expect, test } from 'vitest'
import { packDense } from '../dense-matmul/layout.ts'
import { stepWords } from '../testing/conformance-cases.ts'
import { embed } from './reference.ts'

test('each row of the output is its token row, decoded', () => {
  const values = Float32Array.from({ length: 20 * 3 }, (_, i) => i / 4)
  const step = stepWords([{ token: 19 }, { token: 0 }, { token: 16 }, { token: 19 }])
  const expected = [19, 0, 16, 19].flatMap((token) => [...values.slice(token * 3, token * 3 + 3)])
  for (const type of ['f32', 'f16'] as const) {
    const out = new Float32Array(12)
    embed(out, step, packDense(type, values, 20, 3), 4)
    expect([...out]).toEqual(expected)
  }
})

test('int8 rows are multiplied by their own scale', () => {
  const out = new Float32Array(2)
  embed(out, stepWords([{ token: 1 }]), packDense('int8', Float32Array.of(1, 2, 254, 20), 2, 2), 1)
  expect([...out]).toEqual([254, 20])
})
