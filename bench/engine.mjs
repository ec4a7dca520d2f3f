/**
 * What sharing the passes of a model gives: concurrent calls beside a batch and beside one call, the time
 * between tokens while long prompts keep coming, and the first token of a prompt whose beginning is known.
 *
 *   node bench/engine.mjs [MODEL] [--threads 2] [--rounds 3] [--streams 64] [--seconds 5] [--only-streams]
 *
 * All of it in one process, in turn, round by round; ratios are of the same round, whose parts take turns too.
 */
import { parseArgs } from 'node:util'
import { loadModel } from '../dist/index.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    streams: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '5' },
    'only-streams': { type: 'boolean', default: false },
  },
})
const { rounds, streams, threads, seconds } = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, Number(value)]),
)
const model = await loadModel(positionals[0], { threads })
const { tokenizer } = model
const animals = ['cat', 'dog', 'bird', 'fox', 'king', 'girl', 'fish', 'tree']
const promptOf = (i) =>
  `Number ${i}: once upon a time there was a ${animals[i % animals.length]} who`
const options = (i, maxTokens) => ({ maxTokens, seed: i, temperature: 0.8, logitBias: bias() })

/** No answer ends before its length: every figure is of as many tokens as it says. */
function bias() {
  return Object.fromEntries(tokenizer.stopIds.map((id) => [id, Number.NEGATIVE_INFINITY]))
}

/** A prompt of so many tokens whose beginning nobody else has. */
function longPrompt(tokens, name) {
  let text = `${name} `
  while (tokenizer.encode(text).length < tokens)
    text += `and then the ${animals[text.length % 8]} said so, `
  return text
}

/** Tokens per second of two kinds of work, which take turns: a, b, b, a, and so on. */
async function inTurn(turns, ...works) {
  const sums = works.map(() => ({ ms: 0, tokens: 0 }))
  for (let turn = 0; turn < turns; turn++) {
    const order = [...works.keys()]
    for (const which of turn % 2 === 0 ? order : order.reverse()) {
      const start = performance.now()
      const results = await works[which](fresh++)
      sums[which].ms += performance.now() - start
      for (const { tokenIds } of results) sums[which].tokens += tokenIds.length
    }
  }
  return sums.map(({ ms, tokens }) => (1000 * tokens) / ms)
}

/** No two prompts are the same. */
let fresh = 1

const many = (count, maxTokens, from) =>
  Promise.all(
    Array.from(
      { length: count },
      (_, i) => model.generate(promptOf(from + i), options(i, maxTokens)).result,
    ),
  )

/** So many streams that never end: behind each call's answer of 64 tokens comes the next call. */
async function streaming(count) {
  const one = async (_, stream) => {
    const ends = AbortSignal.timeout(1000 * seconds)
    const ids = []
    // Answers of all lengths at first, so that not all end together.
    for (let length = count === 1 ? 64 : 1 + ((stream * 37) % 64); !ends.aborted; length = 64) {
      const call = model.generate(promptOf(100 * fresh++), {
        ...options(stream, length),
        signal: ends,
      })
      ids.push(...(await call.result).tokenIds)
    }
    return { tokenIds: ids }
  }
  return Promise.all(Array.from({ length: count }, one))
}

/** Milliseconds between the tokens of streams while long prompts come one after another. */
async function gapsUnderLoad(count, maxTokens, round) {
  const gaps = []
  let left = count
  const streamsDone = Array.from({ length: count }, async (_, i) => {
    let last
    for await (const _ of model.generate(promptOf(i), options(i, maxTokens)).tokens()) {
      const now = performance.now()
      if (last !== undefined) gaps.push(now - last)
      last = now
    }
    left--
  })
  let prompts = 0
  while (left > 0)
    await model.generate(longPrompt(1990, `${round} ${prompts++}`), options(0, 1)).result
  await Promise.all(streamsDone)
  gaps.sort((a, b) => a - b)
  const at = (share) => gaps[Math.floor(share * (gaps.length - 1))]
  return { median: at(0.5), p99: at(0.99), prompts }
}

/** Milliseconds to the first token. */
async function firstTokenMs(prompt) {
  const start = performance.now()
  for await (const _ of model.generate(prompt, options(0, 1)).tokens()) break
  return performance.now() - start
}

await many(8, 8, 0)
await model.generateBatch([promptOf(8)], options(0, 8))
console.log(`${model.name}, ${model.backend.description}, ${threads} threads`)
for (let round = 0; round < rounds; round++) {
  const [alone, together] = await inTurn(
    2,
    () => streaming(1),
    () => streaming(streams),
  )
  const held = `${streams} streams ${together.toFixed(0)}, one ${alone.toFixed(0)}: ${(together / alone).toFixed(2)} times`
  if (values['only-streams']) {
    console.log(held)
    continue
  }
  const [calls, batch] = await inTurn(
    4,
    (name) => many(8, 64, 100 * name),
    (name) => {
      const prompts = Array.from({ length: 8 }, (_, i) => promptOf(100 * name + i))
      return model.generateBatch(prompts, { ...options(0, 64), parallel: 8 })
    },
  )
  const [one, all] = await inTurn(
    2,
    (name) => many(1, 64, 100 * name),
    (name) => many(streams, 64, 100 * name),
  )
  const { median, p99, prompts: arrived } = await gapsUnderLoad(streams, 128, round)
  const long = longPrompt(1500, `known ${round}`)
  const cold = await firstTokenMs(`${long} first`)
  const warm = await firstTokenMs(`${long} second`)
  const f = (value, digits = 2) => value.toFixed(digits)
  console.log(
    [
      `${held}; one call ${f(one, 0)} tokens/s`,
      `8 calls ${f(calls, 0)}, a batch of 8 ${f(batch, 0)}: ${f(calls / batch)}`,
      `${streams} calls ${f(all, 0)}: ${f(all / one)} times one`,
      `between tokens ${f(median, 1)} ms, p99 ${f(p99, 1)}: ${f(p99 / median)} times, ${arrived} prompts`,
      `first token ${f(cold, 0)} ms, then ${f(warm, 0)}: ${f(cold / warm, 1)} times sooner`,
    ].join('; '),
  )
}
await model.dispose()
