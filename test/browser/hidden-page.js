/**
 * What runs in the page of hidden-page.test.ts: loads and generates where nobody sees it.
 */
import { loadModel } from '/dist/browser.js'

const MODEL = '/models/bitnet-ja-en-58m.gguf'
const PROMPT = 'Once upon a time, there was a little'
const { backend } = Object.fromEntries(new URLSearchParams(location.search))
const post = (place, said) => fetch(place, { method: 'POST', body: said })
const settings = (maxTokens) => ({ temperature: 0, repetitionPenalty: 1, maxTokens })

let timers = 0
const setOwnTimeout = setTimeout
globalThis.setTimeout = (...given) => {
  timers++
  return setOwnTimeout(...given)
}

const hidden = () =>
  new Promise((resolve) => {
    const look = () => document.visibilityState === 'hidden' && resolve()
    document.addEventListener('visibilitychange', look)
    look()
  })

async function generateHidden() {
  await post('/front', 'about:blank')
  await hidden()
  timers = 0
  const model = await loadModel(MODEL, { backend })
  const { tokenIds } = await model.generate(PROMPT, settings(40)).result
  const state = document.visibilityState
  await model.dispose()
  return { tokenIds, state, timers, backend: model.backend.name }
}

const said = await generateHidden().catch((error) => `${error.stack}`)
await post('/end', JSON.stringify(said))
