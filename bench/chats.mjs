/**
 * What many chats take of the process's memory: each of some 300 tokens, all kept, then gone on with.
 *
 *   node bench/chats.mjs [MODEL] [--chats 200] [--tokens 300] [--threads 2]
 *
 * Fails if they take more than 1.1 times the positions of whole blocks of 256, or if one has to begin again.
 */
import { parseArgs } from 'node:util'
import { loadModel } from '../dist/index.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    chats: { type: 'string', default: '200' },
    tokens: { type: 'string', default: '300' },
    threads: { type: 'string', default: '2' },
  },
})
const [chats, tokens, threads] = [values.chats, values.tokens, values.threads].map(Number)
const model = await loadModel(positionals[0], { threads })
const answer = 8
const options = { maxTokens: answer, temperature: 0 }
const filler = ' the little cat went to the sea and saw a fish,'

/** A message that has so many tokens with its answer. */
function messageOf(name) {
  let text = `Chat ${name}:`
  const lengthOf = (content) => model.tokenizer.encodeChat([{ role: 'user', content }]).length
  while (lengthOf(text + filler) + answer <= tokens) text += filler
  return text
}

const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(0)
const open = []
async function send(from, to, text) {
  const some = open.slice(from, to)
  return Promise.all(some.map((session, i) => session.send(text(from + i), options).result))
}

// Memory that every pass needs, whoever runs.
for (let i = 0; i < 8; i++) open.push(model.chat())
await send(0, 8, (i) => messageOf(`warm ${i}`))
for (const session of open) session.dispose()
open.length = 0
globalThis.gc?.()
const before = process.memoryUsage.rss()
const kept = model.stats().cache.kept
let least = Number.POSITIVE_INFINITY
for (let i = 0; i < chats; i++) open.push(model.chat())
for (let i = 0; i < chats; i += 8) {
  for (const { usage } of await send(i, i + 8, messageOf))
    least = Math.min(least, usage.totalTokens)
}
globalThis.gc?.()
const taken = process.memoryUsage.rss() - before
const blocks = model.stats().cache.kept - kept
let begun = 0
for (let i = 0; i < chats; i += 8) {
  for (const { usage } of await send(i, i + 8, () => 'And then?')) {
    if (usage.cachedTokens < least - answer - 1) begun++
  }
}
const positions = 256 * Math.ceil(tokens / 256)
const room = chats * positions * model.memory.cacheBytesPerToken
console.log(
  `${model.backend.description}: ${chats} chats of at least ${least} tokens in ${blocks} blocks took ` +
    `${mebibytes(taken)} MiB, ${(taken / room).toFixed(3)} times the ${mebibytes(room)} MiB of ` +
    `${chats} x ${positions} positions; ${begun} had to begin again`,
)
await model.dispose()
process.exitCode = taken > 1.1 * room || begun > 0 ? 1 : 0
