// A conversation of two turns. The second prefills only what is new: see cachedTokens.
import { loadModel } from 'bitnet-ts'

const model = await loadModel()
const chat = model.chat()

for (const question of ['こんにちは。お元気ですか？', '好きな食べ物は何ですか？']) {
  console.log(`> ${question}`)
  const answer = chat.send(question, { maxTokens: 40, seed: 1 })
  for await (const text of answer) process.stdout.write(text)
  const { usage } = await answer.result
  console.log(`\n  (${usage.promptTokens} prompt tokens, ${usage.cachedTokens} of them cached)`)
}

console.log(`${chat.messages.length} messages`)
chat.dispose()
await model.dispose()
