/**
 * Probabilities of an answer's tokens as a list for people: a line a token, and what else was likely.
 */
import type { TokenLogprobs, TokenProbability } from '../../../generate/options.ts'
import { formatPercent } from '../../console/quantities.ts'
import { wrapItems } from '../../console/table.ts'
import { columnsOf } from '../../console/wrap.ts'

export function describeLogprobs(tokens: readonly TokenLogprobs[], width = 80): string[] {
  const names = tokens.map(({ token }) => quoted(token))
  const longest = names.reduce((most, name) => Math.max(most, columnsOf(name)), 5)
  const lead = (name: string): string => {
    return name + ' '.repeat(Math.max(0, Math.min(longest, 24) - columnsOf(name)))
  }
  return [
    `${lead('token')}  probability`,
    ...tokens.flatMap((one, i) => {
      const line = `${lead(names[i])}  ${formatPercent(Math.exp(one.logprob)).padStart(8)}`
      return [line, ...wrapItems(one.top.map(named), width)]
    }),
  ]
}

function named({ token, logprob }: TokenProbability): string {
  return `${quoted(token)} ${formatPercent(Math.exp(logprob))}`
}

/** Line ends and spaces are to be seen, and nothing in it reaches the terminal as a command. */
function quoted(token: string): string {
  return JSON.stringify(token)
}
