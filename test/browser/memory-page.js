/**
 * What runs in the page of figures.test.ts: the memory of the tab, by the browser's own count, with a model that has
 * written a little.
 */
import { loadModel } from '/dist/browser.js'

const tabBytes = async () => (await performance.measureUserAgentSpecificMemory()).bytes
const ofWeights = ({ memory }) => memory.ternaryBytes + memory.denseBytes

globalThis.measure = async (url) => {
  const empty = await tabBytes()
  const model = await loadModel(url, { backend: 'wasm', threads: 2 })
  await model.generate('Once upon a time', { maxTokens: 64 }).result
  const { memory, config } = model
  const bytes = await tabBytes()
  const facts = {
    weights: ofWeights(model),
    cache: memory.cacheBytesPerToken * config.contextLength,
  }
  await model.dispose()
  return { ...facts, empty, bytes, disposed: await tabBytes() }
}
globalThis.ready = true
