/**
 * How a chat model answers questions that have written answers, by sampling settings, and how much of continued texts
 * is repetition. Prints a Markdown table.
 *
 *   npm run build && node training/answers.mjs conversations.jsonl... [--model file] [--each 60]
 *     [--settings '[{"temperature":0}]'] [--seeds 1] [--wordings 4] [--topic NAME] [--held] [--show]
 *     [--after 0] [--later]
 *
 * A line of a file is a conversation: {"turns":[{"user":["wording", ...],"assistant":["answer", ...]}]}.
 * Asked is its first turn: with its first wording, and with one that training held out, of the first
 * --wordings, if there is one; with --held, with all that were held out, and with nothing else. A line with "kind"
 * counts under that name, and one with "system" is asked behind the first of those messages. With --after N, each stands behind the first turns of N others in its language, as they
 * were written; with --later, asked is the second turn, behind its first.
 *
 * Two shares are given: of answers that are the very one, and of those that are acceptable (scoring.mjs).
 * "repeated" is the share of four tokens in a row that the same text had before.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { loadModel } from '../dist/index.js'
import { acceptanceBy, isHeldOut, isVery } from './scoring.mjs'

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    each: { type: 'string', default: '60' },
    wordings: { type: 'string', default: '1000' },
    settings: { type: 'string', default: '[{}]' },
    seeds: { type: 'string', default: '1' },
    topic: { type: 'string' },
    held: { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
    after: { type: 'string', default: '0' },
    later: { type: 'boolean', default: false },
  },
})

const TEXTS = [
  'むかしむかし、あるところに、',
  '春になると、',
  '山の上の小さな家に',
  '海のそばの町で、',
  'ある朝、目がさめると、',
  '人工知能の未来について',
  '日本の歴史は',
  'Once upon a time, there was a little girl',
  'The old man walked slowly to the sea and',
  'In the morning, the cat',
  'The history of the city',
  'It was a dark night when',
  'Deep in the forest',
  'The sun was',
]

function spread(items, count) {
  const step = Math.max(1, items.length / count)
  return Array.from(
    { length: Math.min(count, items.length) },
    (_, i) => items[Math.floor(i * step)],
  )
}

const lines = files.flatMap((file) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => ({ kind: basename(file, '.jsonl'), ...JSON.parse(line) }))
    .filter(({ topic }) => options.topic === undefined || topic === options.topic),
)
const isAcceptable = acceptanceBy(lines.flatMap(({ turns }) => turns[0].assistant))
const asWritten = ({ user, assistant }) => [
  { role: 'user', content: user[0] },
  { role: 'assistant', content: assistant[0] },
]
/** What is said before a line's question: first turns of --after others, far apart, and its own with --later. */
function said({ lang, system, turns }, place) {
  const same = lines.filter((line) => line.lang === lang)
  const step = Math.ceil(same.length / 7)
  const before = Array.from({ length: Number(options.after) }, (_, i) =>
    asWritten(same[(place + (i + 1) * step) % same.length].turns[0]),
  )
  const instructions = (system ?? []).slice(0, 1).map((content) => ({ role: 'system', content }))
  return [...instructions, ...before, ...(options.later ? [asWritten(turns[0])] : [])].flat()
}
const groups = [...new Set(lines.map(({ kind }) => kind))].flatMap((kind) => {
  const turns = lines
    .filter((line) => line.kind === kind && (!options.later || line.turns.length > 1))
    .map((line, i) => ({ ...line.turns[options.later ? 1 : 0], before: said(line, i) }))
  const asking = (one) => (question) => ({ question, written: one.assistant, before: one.before })
  const known = turns.map(({ user }) => user.slice(0, Number(options.wordings)).filter(isHeldOut))
  if (options.held) {
    return [{ name: kind, items: turns.flatMap((one, i) => known[i].map(asking(one))) }]
  }
  const first = turns.filter(({ user }) => !isHeldOut(user[0]))
  const asked = first.map((one) => asking(one)(one.user[0]))
  const heldOut = turns.flatMap((one, i) => known[i].slice(0, 1).map(asking(one)))
  return [
    { name: `${kind}, first wording`, items: spread(asked, Number(options.each)) },
    { name: `${kind}, held out`, items: spread(heldOut, Number(options.each)) },
  ]
})

const model = await loadModel(options.model)
console.log(model.backend.description)
const names = groups.map(({ name, items }) => `${name} (${items.length})`)
console.log(`\n| settings | ${names.join(' | ')} | repeated |`)
console.log(`|---|${'---:|'.repeat(names.length + 1)}`)
for (const settings of JSON.parse(options.settings)) {
  const cells = []
  for (const { items } of groups) cells.push(await sharesRight(items, settings))
  cells.push(inHundred(await shareRepeated(settings)))
  console.log(`| \`${JSON.stringify(settings)}\` | ${cells.join(' | ')} |`)
}
await model.dispose()

function inHundred(share) {
  return `${(100 * share).toFixed(0)} %`
}

/** The very answers and the acceptable ones, of all answers with all seeds. */
async function sharesRight(items, settings) {
  let very = 0
  let acceptable = 0
  for (let seed = 1; seed <= Number(options.seeds); seed++) {
    const prompts = items.map(({ question, before }) => [
      ...before,
      { role: 'user', content: question },
    ])
    const results = await model.generateBatch(prompts, { maxTokens: 100, ...settings, seed })
    for (const [i, { text }] of results.entries()) {
      const { question, written } = items[i]
      const answer = text.trim()
      const [isTheOne, isGood] = [isVery(answer, written), isAcceptable(question, answer, written)]
      very += Number(isTheOne)
      acceptable += Number(isGood)
      const verdict = isTheOne ? 'very ' : isGood ? 'good ' : 'wrong'
      if (options.show) console.error(`${verdict}  ${question}  ->  ${answer}`)
    }
  }
  const all = items.length * Number(options.seeds)
  return `${inHundred(very / all)}, ${inHundred(acceptable / all)}`
}

async function shareRepeated(settings) {
  const results = await model.generateBatch(TEXTS, { maxTokens: 120, ...settings, seed: 1 })
  const shares = results.map(({ text }) => {
    const ids = [...model.tokenizer.encode(text)]
    const fours = ids.slice(3).map((_, i) => ids.slice(i, i + 4).join())
    return fours.length === 0 ? 0 : 1 - new Set(fours).size / fours.length
  })
  return shares.reduce((sum, share) => sum + share, 0) / shares.length
}
