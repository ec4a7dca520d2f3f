/** The model, in a worker, so that the page stays smooth whatever runs. */
import { loadModel, openModelStore, train } from '/dist/browser.js'

let model
let chat
let controller
/** A model that has seen no conversations goes on with a text instead of answering. */
let isForTexts = false
/** What was loaded last: to be loaded again when a GPU is lost. */
let last

async function ready(loaded, began) {
  model = loaded
  chat = model.chat({ contextShift: true })
  const seconds = (performance.now() - began) / 1000
  const { name, backend } = model
  postMessage({ kind: 'loaded', name, backend: backend.description, seconds })
}

/** Gives the model up, whatever has become of the device it was on. */
async function drop() {
  const old = model
  model = undefined
  chat = undefined
  await old?.dispose()
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
  async load({ source, backend, isa, keeps, isTrained = false }) {
    last = { source, keeps, isTrained }
    await drop()
    const began = performance.now()
    const onProgress = ({ loadedBytes, totalBytes }) => {
      postMessage({ kind: 'progress', fraction: loadedBytes / totalBytes })
    }
    isForTexts = isTrained
    const onDownload = ({ doneBytes, totalBytes }) => {
      postMessage({ kind: 'progress', fraction: doneBytes / totalBytes })
    }
    const options = { backend, isa, onProgress }
    if (!keeps) return ready(await loadModel(source, options), began)
    const store = await openModelStore()
    try {
      await ready(await loadModel(source, { ...options, store, onDownload }), began)
    } finally {
      await tellModels(store)
    }
  },
  async reload({ backend, isa }) {
    await DO.load({ ...last, backend, isa })
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
    const isTrained = typeof data === 'string' || !/\.jsonl$/i.test(data.name)
    await DO.load({ source: bytes, backend, isTrained })
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
    // A device that is lost stays lost, and so does the model on it.
    const isLost = data.kind === 'reload' || (error.code === 'BACKEND' && chat !== undefined)
    if (isLost) await drop().catch(() => {})
    postMessage({ kind: 'failed', message: error.message, hasModel: chat !== undefined, isLost })
  }
})
