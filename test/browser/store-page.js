/**
 * What runs in the page, and in a worker of it: a store of models, whose answers are plain values.
 */
import { loadModel, openModelStore } from '/dist/browser.js'

const facts = ({ name, bytes, isWhole, commit }) => ({ name, bytes, isWhole, commit })

async function hexOf(file) {
  const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer())
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const CALLS = {
  /** Fetches, and says what was told on the way. */
  async pull(store, source) {
    const told = []
    const kept = await store.pull(source, { onDownload: (one) => told.push(one) })
    return { kept: facts(kept), first: told[0], last: told.at(-1) }
  },
  list: async (store) => (await store.list()).map(facts),
  delete: (store, name) => store.delete(name),
  persist: (store) => store.persist(),
  space: (store) => store.space(),
  /** Loads from the store, and generates. */
  async load(store, source) {
    const model = await loadModel(source, { store, backend: 'wasm', threads: 1 })
    const options = { temperature: 0, repetitionPenalty: 1, maxTokens: 10 }
    const { tokenIds } = await model.generate('Once upon a time', options).result
    await model.dispose()
    return tokenIds
  },
  /** Deletes a model while a part of it is being fetched. */
  async deleteMeanwhile(store, source) {
    let begun
    const began = new Promise((resolve) => {
      begun = resolve
    })
    const controller = new AbortController()
    const onDownload = ({ doneBytes }) => doneBytes > 0 && begun()
    const pulled = store.pull(source, { onDownload, signal: controller.signal })
    await Promise.race([began, pulled])
    const failure = await store.delete(source).then(
      () => 'deleted',
      ({ message }) => message,
    )
    controller.abort()
    await pulled.catch(() => undefined)
    return failure
  },
  /** Forgets all that is there. */
  async clear() {
    const root = await navigator.storage.getDirectory()
    for await (const name of root.keys()) await root.removeEntry(name, { recursive: true })
  },
  /** Name and hash of every file that there is. */
  async files() {
    const root = await navigator.storage.getDirectory()
    const found = []
    for await (const [store, models] of root) {
      for await (const [, folder] of models) {
        for await (const [name, handle] of folder) {
          found.push({ store, name, hex: await hexOf(await handle.getFile()) })
        }
      }
    }
    return found
  },
}

async function call({ name, args, hub }) {
  try {
    return { value: await CALLS[name](await openModelStore({ hub }), ...args) }
  } catch (error) {
    return { error: { name: error.name, code: error.code, message: error.message } }
  }
}

if (globalThis.document === undefined) {
  globalThis.onmessage = async ({ data }) => postMessage(await call(data))
} else {
  const worker = new Worker('/page.js', { type: 'module' })
  globalThis.inPage = call
  globalThis.inWorker = (request) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
      worker.postMessage(request)
    })
  globalThis.ready = true
}
