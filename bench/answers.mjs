/**
 * How a chat model answers questions that have written answers, by sampling settings: the share of
 * answers that say what one of the written ones says, and how much of continued texts is repetition.
 * Prints a Markdown table.
 *
 *   npm run build && node bench/answers.mjs conversations.jsonl... [--model file] [--each 60]
 *     [--settings '[{"temperature":0}]'] [--seeds 1] [--wordings 4] [--topic NAME]
 *     [--exact] [--show]
 *
 * A line of a file is a conversation: {"turns":[{"user":["wording", ...],"assistant":["answer", ...]}]}.
 * Asked is its first turn: with its first wording, and with one that training held out, which is one of
 * ten (the SHA-256 of its text, as a number, modulo 10, is 0), of the first --wordings, if there is one.
 *
 * "right" is a Dice coefficient of character trigrams above 0.6 with the nearest written answer (of 1, with
 * --exact); where all written answers end in the same number (sums), the answer's last one must be that.
 * "repeated" is the share of four tokens in a row that the same text had before.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { loadModel } from '../dist/index.js'

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    each: { type: 'string', default: '60' },
    wordings: { type: 'string', default: '1000' },
    settings: { type: 'string', default: '[{}]' },
    seeds: { type: 'string', default: '1' },
    topic: { type: 'string' },
    exact: { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
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

function isHeldOut(text) {
  const hash = createHash('sha256').update(text).digest('hex')
  return BigInt(`0x${hash}`) % 10n === 0n
}

function trigrams(text) {
  const counts = new Map()
  for (let i = 0; i + 3 <= text.length; i++) {
    const gram = text.slice(i, i + 3)
    counts.set(gram, (counts.get(gram) ?? 0) + 1)
  }
  return counts
}

function likeness(a, b) {
  if (a === b) return 1
  const [first, second] = [trigrams(a), trigrams(b)]
  let shared = 0
  for (const [gram, count] of first) shared += Math.min(count, second.get(gram) ?? 0)
  return (2 * shared) / Math.max(1, a.length + b.length - 4)
}

const lastNumber = (text) => text.match(/\d+/g)?.at(-1)

function isRight(answer, written) {
  const numbers = new Set(written.map(lastNumber))
  const [number] = numbers
  if (numbers.size === 1 && number !== undefined) return lastNumber(answer) === number
  const least = options.exact ? 1 : 0.6
  return written.some((one) => likeness(answer, one.trim()) >= least)
}

function spread(items, count) {
  const step = Math.max(1, items.length / count)
  return Array.from(
    { length: Math.min(count, items.length) },
    (_, i) => items[Math.floor(i * step)],
  )
}

const groups = files.flatMap((file) => {
  const turns = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ topic }) => options.topic === undefined || topic === options.topic)
    .map((conversation) => conversation.turns[0])
  const name = basename(file, '.jsonl') + (options.topic === undefined ? '' : ` ${options.topic}`)
  const first = turns.filter(({ user }) => !isHeldOut(user[0]))
  const wordings = Number(options.wordings)
  const heldOut = turns.flatMap(({ user, assistant }) => {
    const question = user.slice(0, wordings).find(isHeldOut)
    return question === undefined ? [] : [{ question, written: assistant }]
  })
  const asked = first.map(({ user, assistant }) => ({ question: user[0], written: assistant }))
  return [
    { name: `${name}, first wording`, items: spread(asked, Number(options.each)) },
    { name: `${name}, held out`, items: spread(heldOut, Number(options.each)) },
  ]
})

const model = await loadModel(options.model)
console.log(model.backend.description)
const names = groups.map(({ name, items }) => `${name} (${items.length})`)
console.log(`\n| settings | ${names.join(' | ')} | repeated |`)
console.log(`|---|${'---:|'.repeat(names.length + 1)}`)
for (const settings of JSON.parse(options.settings)) {
  const cells = []
  for (const { items } of groups) cells.push(await shareRight(items, settings))
  cells.push(await shareRepeated(settings))
  const shown = cells.map((share) => `${(100 * share).toFixed(0)} %`)
  console.log(`| \`${JSON.stringify(settings)}\` | ${shown.join(' | ')} |`)
}
await model.dispose()

/** Of all answers with all seeds. */
async function shareRight(items, settings) {
  let right = 0
  for (let seed = 1; seed <= Number(options.seeds); seed++) {
    const prompts = items.map(({ question }) => [{ role: 'user', content: question }])
    const results = await model.generateBatch(prompts, { maxTokens: 100, ...settings, seed })
    for (const [i, { text }] of results.entries()) {
      const { question, written } = items[i]
      const ok = isRight(text.trim(), written)
      if (ok) right++
      if (options.show) console.error(`${ok ? 'right' : 'wrong'}  ${question}  ->  ${text.trim()}`)
    }
  }
  return right / items.length / Number(options.seeds)
}

async function shareRepeated(settings) {
  const results = await model.generateBatch(TEXTS, { maxTokens: 120, ...settings, seed: 1 })
  const shares = results.map(({ text }) => {
    const ids = [...model.tokenizer.encode(text)]
    const fours = ids.slice(3).map((_, i) => ids.slice(i, i + 4).join())
    return 1 - new Set(fours).size / fours.length
  })
  return shares.reduce((sum, share) => sum + share, 0) / shares.length
}
