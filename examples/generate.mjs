// Continues a text with the embedded model and prints it as it comes.
import { loadModel } from 'bitnet-ts'

const model = await loadModel()
const prompt = process.argv[2] ?? 'Once upon a time, there was a little girl'

const generation = model.generate(prompt, { maxTokens: 60, temperature: 0.7, seed: 1 })
process.stdout.write(prompt)
for await (const text of generation) process.stdout.write(text)

const { timings, usage, backend } = await generation.result
console.log(
  `\n\n${usage.completionTokens} tokens, ${timings.decodeTokensPerSecond.toFixed(1)} tokens/s`,
)
console.log(backend.description)
await model.dispose()
