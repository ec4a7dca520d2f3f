/** The model, in a worker, so that the page stays smooth whatever runs. */
import { loadModel, openModelStore, train } from '/dist/browser.js'

let model
let chat
let controller
/** A model that has seen no conversations goes on with a text instead of answering. */
let isForTexts = false

async function ready(loaded, began) {
  model = loaded
  chat = model.chat({ contextShift: true })
  const seconds = (performance.now() - began) / 1000
  const { name, backend } = model
  postMessage({ kind: 'loaded', name, backend: backend.description, seconds })
}

async function tellModels(store) {
  const models = await store.list()
  postMessage({ kind: 'models', models })
}

const DO = {
  async models() {
    await tellModels(await openModelStore())
  },
  async delete({ name }) {
    const store = await openModelStore()
    await store.delete(name)
    await tellModels(store)
  },
  async load({ source, backend, keeps }) {
    await model?.dispose()
    model = undefined
    chat = undefined
    const began = performance.now()
    const onProgress = ({ loadedBytes, totalBytes }) => {
      postMessage({ kind: 'progress', fraction: loadedBytes / totalBytes })
    }
    isForTexts = false
    const onDownload = ({ doneBytes, totalBytes }) => {
      postMessage({ kind: 'progress', fraction: doneBytes / totalBytes })
    }
    if (!keeps) return ready(await loadModel(source, { backend, onProgress }), began)
    const store = await openModelStore()
    try {
      await ready(await loadModel(source, { backend, store, onProgress, onDownload }), began)
    } finally {
      await tellModels(store)
    }
  },
  async train({ data, preset, steps, backend }) {
    controller = new AbortController()
    const { gguf } = await train({
      ...{ data, preset, steps, backend, signal: controller.signal },
      evalEvery: Math.ceil(steps / 4),
      onEvent(event) {
        if (event.type === 'step' || event.type === 'sample')
          postMessage({ kind: event.type, ...event })
      },
    })
    const bytes = await gguf()
    postMessage({ kind: 'trained', gguf: bytes })
    await model?.dispose()
    model = undefined
    chat = undefined
    isForTexts = typeof data === 'string' || !/\.jsonl$/i.test(data.name)
    await ready(await loadModel(bytes, { backend }), performance.now())
  },
  async send({ text }) {
    controller = new AbortController()
    const options = { signal: controller.signal, maxTokens: 300 }
    const stream = isForTexts ? model.generate(text, options) : chat.send(text, options)
    for await (const piece of stream) postMessage({ kind: 'text', text: piece })
    const { usage, timings, finishReason } = await stream.result
    postMessage({
      kind: 'done',
      tokens: usage.completionTokens,
      speed: timings.decodeTokensPerSecond,
      reason: finishReason,
    })
  },
  stop() {
    controller?.abort()
  },
  again() {
    chat?.reset()
  },
}

self.addEventListener('message', async ({ data }) => {
  try {
    await DO[data.kind](data)
  } catch (error) {
    postMessage({ kind: 'failed', message: error.message, hasModel: chat !== undefined })
  }
})
