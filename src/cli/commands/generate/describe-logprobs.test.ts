import { expect, test } from 'vitest'
import { describeLogprobs } from './describe-logprobs.ts'

const probability = (token: string, share: number) => ({ id: 1, token, logprob: Math.log(share) })

test('probabilities are a list: a line a token, and what else was likely on lines that fit', () => {
  const top = [probability(' 東京', 0.5), probability('\n', 0.25), probability('\u001b[2J', 0.125)]
  const tokens = [
    { ...probability(' 東京', 0.5), top },
    { ...probability('.', 0.9), top: [] },
  ]
  expect(describeLogprobs(tokens, 40)).toEqual([
    'token    probability',
    '" 東京"    50.0 %',
    '    " 東京" 50.0 %, "\\n" 25.0 %,',
    '    "\\u001b[2J" 12.5 %',
    '"."        90.0 %',
  ])
})
