/**
 * The page of bench/browser-figures.mjs: loads a model as any page does, begins a story, and says when what was there.
 * The address tells which model, and how.
 */
import { loadModel } from '/dist/browser.js'

/** From the navigation to this script, with all that it imports. */
const readyMs = performance.now()
const given = Object.fromEntries(new URLSearchParams(location.search))
const post = (place, said) => fetch(place, { method: 'POST', body: JSON.stringify(said) })

async function visit({ url, backend, threads, tokens }) {
  const began = performance.now()
  const model = await loadModel(url, { backend, threads: Number(threads) })
  const loadedMs = performance.now() - began
  const stream = model.generate('Once upon a time', { temperature: 0, maxTokens: Number(tokens) })
  let firstMs
  for await (const _ of stream) firstMs ??= performance.now() - began
  const { memory, backend: report, config } = model
  return {
    readyMs,
    loadedMs,
    firstMs,
    memory,
    context: config.contextLength,
    backend: report.description,
  }
}

await post('/begin')
try {
  await post('/end', await visit(given))
} catch (error) {
  await post('/end', { error: `${error.name}: ${error.message}` })
}
