/**
 * What runs in the page: training with the built library, in memory or in the browser's own files, to a model that
 * writes.
 */
import { loadModel, train } from '/dist/browser.js'

/** @param stopAt the step behind which the run is asked to end */
globalThis.run = async ({ options, folder, stopAt, prompt }) => {
  const controller = new AbortController()
  const events = []
  const root = folder && (await navigator.storage.getDirectory())
  const out = root && (await root.getDirectoryHandle(folder, { create: true }))
  const report = await train({
    ...options,
    ...(out && { out }),
    signal: controller.signal,
    onEvent(event) {
      events.push(event)
      // As a page does: from outside of the run.
      if (event.type === 'step' && event.step === stopAt) setTimeout(() => controller.abort())
    },
  })
  const { gguf, ...facts } = report
  if (prompt === undefined) return { events, facts }
  const bytes = await gguf()
  const model = await loadModel(bytes, { backend: options.backend })
  const { text } = await model.generate(prompt, { maxTokens: 8, temperature: 0 }).result
  await model.dispose()
  return { events, facts, text, megabytes: bytes.length / 1e6 }
}
globalThis.ready = true
