// Continues several texts in shared passes: each pass reads the weights once for all of them.
import { loadModel } from 'bitnet-ts'

const model = await loadModel()
const prompts = ['The sea was', 'In the morning, the cat', 'むかし、', '森の中で']

const start = performance.now()
const results = await model.generateBatch(prompts, { maxTokens: 24, seed: 1 })
const seconds = (performance.now() - start) / 1000

for (const [i, { text }] of results.entries()) console.log(`${prompts[i]}|${text}\n`)

const tokens = results.reduce((sum, { usage }) => sum + usage.completionTokens, 0)
console.log(
  `${tokens} tokens in ${seconds.toFixed(2)} s, ${(tokens / seconds).toFixed(1)} tokens/s`,
)
await model.dispose()
