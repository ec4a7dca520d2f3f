/**
 * Writes conversations as `bitnet train` takes them, one a line in a random order, of what guide/build.mjs writes:
 *
 *   node training/talks.mjs DATA OUT.jsonl [--count 100000] [--seed 1]
 *
 * Half of them go on with another conversation without a new beginning, so that what is asked changes the subject; some
 * begin with a system message. The same seed gives the same file.
 */

import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { read } from './guide/data.mjs'
import { isJapanese, randomNumbers } from './guide/wordings.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
  },
})
const [data, out] = positionals
if (out === undefined) {
  console.error('usage: node training/talks.mjs DATA OUT.jsonl [--count 100000] [--seed 1]')
  process.exit(2)
}

/** Shares of conversations by their kind. */
const KINDS = { guide: 0.6, facts: 0.22, sums: 0.08, refusals: 0.05, named: 0.05 }
/** Of conversations: those that another one follows, that begin with a system message, and those in the other language. */
const [FOLLOWED, INSTRUCTED, ABROAD] = [0.5, 0.25, 0.2]
/** Of conversations with several turns, those that end behind the first; of questions, those that were made, and with gaps. */
const [FIRST_ALONE, MADE, GAPS] = [0.45, 0.5, 0.15]
/** Of the words of such a question, or its characters where no spaces are, those that are missing. */
const MISSING = 0.1

const random = randomNumbers(Number(options.seed))
const pick = (list) => list[Math.floor(random() * list.length)]
const lines = ['guide', 'facts'].flatMap((name) => read(join(data, `${name}.jsonl`)))
const systems = JSON.parse(readFileSync(join(data, 'systems.json'), 'utf8'))
const byKind = new Map(
  Object.keys(KINDS).map((kind) => [kind, lines.filter((line) => line.kind === kind)]),
)

function kindOf(share) {
  let left = share
  const found = Object.entries(KINDS).find(([, own]) => {
    left -= own
    return left < 0
  })
  return found?.[0] ?? 'guide'
}

function question({ user, made = [] }) {
  const text = pick(made.length > 0 && random() < MADE ? made : user)
  if (text.length <= 8 || random() >= GAPS) return text
  const [words, between] = isJapanese(text) ? [[...text], ''] : [text.split(' '), ' ']
  return words.filter(() => random() >= MISSING).join(between) || text
}

function turnsOf({ turns }) {
  const told = turns.length > 1 && random() < FIRST_ALONE ? turns.slice(0, 1) : turns
  return told.flatMap((turn) => [
    { role: 'user', content: question(turn) },
    { role: 'assistant', content: pick(turn.assistant) },
  ])
}

function instructions({ lang = 'en', system }) {
  if (system !== undefined) return [{ role: 'system', content: pick(system) }]
  if (random() >= INSTRUCTED) return []
  const abroad = lang === 'en' ? 'ja' : 'en'
  return [{ role: 'system', content: pick(systems[random() < ABROAD ? abroad : lang]) }]
}

const file = createWriteStream(out)
for (let i = 0; i < Number(options.count); i++) {
  const first = pick(byKind.get(kindOf(random())))
  const messages = [...instructions(first), ...turnsOf(first)]
  while (random() < FOLLOWED) {
    const next = pick(byKind.get(kindOf(random())))
    // One with its own system message stands for itself.
    if (next.system === undefined) messages.push(...turnsOf(next))
  }
  if (!file.write(`${JSON.stringify({ messages })}\n`)) await once(file, 'drain')
}
file.end()
await once(file, 'finish')
