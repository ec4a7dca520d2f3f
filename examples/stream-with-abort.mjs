// Stops a generation in the middle with an AbortSignal; the result keeps what came until then.
import { loadModel } from 'bitnet-ts'

const model = await loadModel()
const controller = new AbortController()

let characters = 0
const generation = model.generate('むかしむかし、あるところに、', {
  maxTokens: 200,
  seed: 1,
  signal: controller.signal,
})
for await (const text of generation) {
  process.stdout.write(text)
  characters += text.length
  if (characters >= 20) controller.abort()
}

const { finishReason, usage } = await generation.result
console.log(`\n${finishReason} after ${usage.completionTokens} tokens`)
await model.dispose()
