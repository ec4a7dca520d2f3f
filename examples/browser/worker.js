/** The model, in a worker, so that the page stays smooth whatever runs. */
import { loadModel } from '/dist/browser.js'

let model
let chat
let controller

const DO = {
  async load({ source, backend }) {
    await model?.dispose()
    model = undefined
    chat = undefined
    const began = performance.now()
    const onProgress = ({ loadedBytes, totalBytes }) => {
      postMessage({ kind: 'progress', fraction: loadedBytes / totalBytes })
    }
    model = await loadModel(source, { backend, onProgress })
    chat = model.chat({ contextShift: true })
    const seconds = (performance.now() - began) / 1000
    postMessage({
      kind: 'loaded',
      name: model.name,
      backend: model.backend.description,
      seconds,
    })
  },
  async send({ text }) {
    controller = new AbortController()
    const stream = chat.send(text, { signal: controller.signal, maxTokens: 300 })
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
