/**
 * What runs in the page: loads a model with the built library and generates greedily.
 */
import { loadModel } from '/dist/browser.js'

const MODEL = '/models/bitnet-ja-en-58m.gguf'

async function open(from) {
  if (from === 'server') return MODEL
  const response = await fetch(MODEL)
  return from === 'blob' ? response.blob() : response.bytes()
}

globalThis.generate = async ({ from, options, prompt, maxTokens }) => {
  const model = await loadModel(await open(from), options)
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  const { result } = model.generate(prompt, { temperature: 0, repetitionPenalty: 1, maxTokens })
  const { tokenIds, text, timings, backend } = await result
  clearInterval(timer)
  await model.dispose()
  return { tokenIds, text, timings, backend, ticks }
}

/** Loads, starts a long greedy answer and aborts it from a timer set at the first piece of text. */
globalThis.abort = async ({ options, prompt }) => {
  const model = await loadModel(MODEL, options)
  const controller = new AbortController()
  const { signal } = controller
  const request = { temperature: 0, repetitionPenalty: 1, maxTokens: 1500, signal }
  const stream = model.generate(prompt, request)
  const pieces = stream[Symbol.asyncIterator]()
  await pieces.next()
  setTimeout(() => controller.abort(), 0)
  const { finishReason } = await stream.result
  await model.dispose()
  return finishReason
}

/** The name of the error that loading throws. */
globalThis.loadFailure = async (source) => {
  try {
    await loadModel(source)
    return 'none'
  } catch (error) {
    return error.name
  }
}

globalThis.ready = true
