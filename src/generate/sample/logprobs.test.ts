import { describe, expect, test } from 'vitest'
import { logprobsOf } from './logprobs.ts'

const textOf = (id: number): string => `t${id}`

describe('logprobsOf', () => {
  test('gives the natural logarithm of the softmax, of the token and of the likeliest', () => {
    const logits = Float32Array.from([1, 3, 2, -1], Math.log)
    logits[3] = Number.NEGATIVE_INFINITY
    const { id, token, logprob, top } = logprobsOf(logits, 0, 2, textOf)
    expect({ id, token }).toEqual({ id: 0, token: 't0' })
    expect(Math.exp(logprob)).toBeCloseTo(1 / 6, 6)
    expect(top.map((one) => one.id)).toEqual([1, 2])
    expect(top.map((one) => Math.exp(one.logprob))).toEqual([
      expect.closeTo(3 / 6, 6),
      expect.closeTo(2 / 6, 6),
    ])
  })

  test('names no token that cannot come, and of equals the lower id first', () => {
    const logits = Float32Array.of(Number.NEGATIVE_INFINITY, 5, 5, 5)
    const { top } = logprobsOf(logits, 3, 10, textOf)
    expect(top.map((one) => one.id)).toEqual([1, 2, 3])
    expect(logprobsOf(logits, 3, 0, textOf)).toMatchObject({ id: 3, top: [] })
  })

  test('holds with logits far from 0, where exp alone would overflow', () => {
    const { logprob } = logprobsOf(Float32Array.of(9000, 9000), 1, 0, textOf)
    expect(logprob).toBeCloseTo(-Math.LN2, 6)
  })
})
