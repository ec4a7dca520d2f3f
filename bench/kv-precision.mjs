/**
 * What the precision of the KV cache costs: perplexity on a text with keys and values as f32, f16, int8
 * and int4. Prints a Markdown table for each text.
 *
 *   npm run build && node bench/kv-precision.mjs text.txt... [--model file] [--tokens 20480]
 *
 * Windows are as long as the model's context, 2,048 tokens at most, so that most predictions look back
 * on many cached positions; they run across the parts of a text that <|endoftext|> separates. Every
 * type sees the same windows, so differences are much smaller than the spread between texts.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { openBackend } from '../dist/backends/select.js'
import { loadTokenizer } from '../dist/generate/load/load-text.js'
import { readConfig } from '../dist/model/config/read-config.js'
import { Decoder } from '../dist/model/decoder.js'
import { loadWeights } from '../dist/model/weights/load-weights.js'
import { openModelFile } from '../dist/node/open-model.js'
import { resolveModel } from '../dist/node/resolve-model.js'
import { finish } from '../dist/steps.js'

const LONGEST_WINDOW = 2048
const TYPES = ['f32', 'f16', 'int8', 'int4']

const { values: options, positionals: texts } = parseArgs({
  allowPositionals: true,
  options: { model: { type: 'string' }, tokens: { type: 'string', default: '20480' } },
})
const opened = await openModelFile(await resolveModel(options.model))
const config = readConfig(opened.file)
const tokenizer = finish(loadTokenizer(opened, config.vocabSize))
const backend = await openBackend({})
const weights = await loadWeights(backend, opened.file, config, { head: 'f16' })
console.error(backend.description)

/** The sum of -log p over the tokens of a window after its first. */
async function lossOf(decoder, slot, ids) {
  let loss = 0
  for (let from = 0; from + 1 < ids.length; from += decoder.maxRows) {
    const targets = ids.slice(from + 1, from + 1 + decoder.maxRows)
    const rows = targets.map((_, i) => i)
    const batch = {
      tokens: ids.slice(from, from + rows.length),
      slots: rows.map(() => slot),
      positions: rows.map((i) => from + i),
      logitRows: rows,
    }
    const { logProbs } = await decoder.score(batch, { rows, tokens: targets })
    for (const logProb of logProbs) loss -= logProb
  }
  return loss
}

for (const file of texts) {
  const text = readFileSync(file, 'utf8').replaceAll('<|endoftext|>', '\n')
  // A token is at most a few characters: what is cut off here is not read anyway.
  const limit = Number(options.tokens)
  const ids = [...tokenizer.encode(text.slice(0, 16 * limit))].slice(0, limit)
  const window = Math.min(LONGEST_WINDOW, config.contextLength)
  const counted = ids.length - Math.ceil(ids.length / window)
  console.log(`\n${basename(file)}, ${counted} tokens in windows of ${window}\n`)
  console.log('| type | bytes a token | perplexity | difference |\n|---|---:|---:|---:|')
  let exact
  for (const cacheType of TYPES) {
    const decoder = new Decoder(backend, config, weights, { cacheType })
    const { slot } = decoder.cache.open([], window)
    let loss = 0
    for (let from = 0; from < ids.length; from += window) {
      loss += await lossOf(decoder, slot, ids.slice(from, from + window))
    }
    const perplexity = Math.exp(loss / counted)
    exact ??= perplexity
    const change = `${(100 * (perplexity / exact - 1)).toFixed(3)} %`
    console.log(
      `| ${cacheType} | ${decoder.cacheBytesPerToken} | ${perplexity.toFixed(4)} | ${change} |`,
    )
    decoder.dispose()
  }
}
weights.dispose()
backend.dispose()
await opened.file.close()
