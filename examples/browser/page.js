/** The page: what it shows, and what it asks of the worker, which has the model. */
import { WORDS } from './words.js'

const at = (id) => document.getElementById(id)
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })

let language = (navigator.language ?? 'en').startsWith('ja') ? 'ja' : 'en'
/** A variant of a backend, for who wants to compare: `?isa=webgpu-base`. */
const isa = new URLSearchParams(location.search).get('isa') ?? undefined
let answer
let isAnswering = false
/** What stands in the status line, by the words of a language. */
let status = (words) => words.nothing
/** The models that are kept. */
let models = []
/** The losses of all steps, from the upper left to the lower right. */
const losses = []

function translate() {
  const words = WORDS[language]
  document.documentElement.lang = language
  for (const one of document.querySelectorAll('[data-say]')) {
    one.textContent = words[one.dataset.say]
  }
  for (const one of document.querySelectorAll('[data-label]')) {
    one.ariaLabel = words[one.dataset.label]
  }
  at('language').textContent = words.other
  at('language').lang = language === 'en' ? 'ja' : 'en'
  at('status').textContent = status(words)
  if (losses.length > 0) nameCurve()
  listModels()
}
at('language').onclick = () => {
  language = language === 'en' ? 'ja' : 'en'
  translate()
}

/** What may be pressed: nothing while a model loads, only Stop while it answers. */
function enable({ load, chat, stop }) {
  at('reload').hidden = true
  for (const id of ['backend', 'embedded', 'file', 'train', 'keep']) at(id).disabled = !load
  for (const id of ['text', 'send', 'again']) at(id).disabled = !chat
  at('stop').disabled = !stop
  at('end').disabled = true
}

/** @param of gives the text from the words of a language */
function say(of) {
  status = of
  at('status').textContent = of(WORDS[language])
}

function add(who, text) {
  const line = document.createElement('p')
  line.className = who
  line.textContent = text
  at('talk').append(line)
  return line
}

function nameCurve() {
  at('curve').ariaLabel = WORDS[language].curve(losses[0], losses[losses.length - 1])
}

function listModels() {
  const words = WORDS[language]
  const lines = models.map(({ name, bytes, isWhole }) => {
    const line = document.createElement('li')
    const button = document.createElement('button')
    button.type = 'button'
    button.textContent = words.delete
    button.ariaLabel = words.deleteOf(name)
    button.onclick = () => worker.postMessage({ kind: 'delete', name })
    const part = isWhole ? '' : `, ${words.part}`
    line.append(`${name} (${(bytes / 1e6).toFixed(0)} MB${part}) `, button)
    return line
  })
  at('models').replaceChildren(...lines)
}

function drawCurve(steps) {
  const most = Math.max(...losses)
  const points = losses.map((loss, i) => `${(100 * i) / steps} ${100 - (96 * loss) / most}`)
  at('curve').firstElementChild.setAttribute('d', `M${points.join('L')}`)
  nameCurve()
}

const HEARD = {
  step({ step, steps, loss, tokensPerSecond, secondsLeft }) {
    losses.push(loss)
    drawCurve(steps)
    at('progress').value = step / steps
    say((words) => words.step(step, steps, loss, tokensPerSecond, secondsLeft))
  },
  sample({ step, prompt, text }) {
    add('model', `${step}: ${prompt}|${text}`)
  },
  trained({ gguf }) {
    URL.revokeObjectURL(at('download').href)
    at('download').href = URL.createObjectURL(new Blob([gguf]))
    at('download').download = 'my-model.gguf'
    at('download').hidden = false
  },
  models(heard) {
    models = heard.models
    listModels()
  },
  progress({ fraction }) {
    at('progress').value = fraction
  },
  loaded({ name, backend, seconds }) {
    at('progress').hidden = true
    say((words) => words.loaded(name, backend, seconds))
    at('talk').replaceChildren()
    enable({ load: true, chat: true, stop: false })
    at('text').focus()
  },
  text({ text }) {
    answer.textContent += text
  },
  done({ tokens, speed, reason }) {
    isAnswering = false
    const ending = reason === 'cancelled' ? 'stopped' : 'done'
    say((words) => words[ending](tokens, speed))
    enable({ load: true, chat: true, stop: false })
    at('text').focus()
  },
  failed({ message, hasModel, isLost = false }) {
    isAnswering = false
    at('progress').hidden = true
    say((words) => message ?? words.noWorker)
    enable({ load: true, chat: hasModel, stop: false })
    at('reload').hidden = !isLost
  },
}

worker.onmessage = ({ data }) => HEARD[data.kind](data)
worker.onerror = (event) => HEARD.failed({ message: event.message, hasModel: false })

function load(message) {
  enable({ load: false, chat: false, stop: false })
  at('progress').hidden = false
  at('progress').value = 0
  say((words) => words.loading)
  worker.postMessage({ ...message, backend: at('backend').value, isa })
}

at('train').onclick = () => {
  const [file] = at('corpus').files
  const data = file ?? at('learnt').value
  enable({ load: false, chat: false, stop: false })
  at('end').disabled = false
  at('talk').replaceChildren()
  losses.length = 0
  at('curve').toggleAttribute('hidden', false)
  at('progress').hidden = false
  at('progress').value = 0
  say((words) => words.preparing)
  worker.postMessage({
    ...{ kind: 'train', data, preset: at('preset').value, steps: Number(at('steps').value) },
    backend: at('backend').value,
  })
}
at('end').onclick = () => worker.postMessage({ kind: 'stop' })
at('embedded').onclick = () => {
  const source = new URL('/models/bitnet-ja-en-58m.gguf', location.href).href
  load({ kind: 'load', source })
}
at('reload').onclick = () => load({ kind: 'reload' })
at('file').onchange = () => {
  const [file] = at('file').files
  if (file !== undefined) load({ kind: 'load', source: file })
}
at('kept').ontoggle = () => at('kept').open && worker.postMessage({ kind: 'models' })
at('keep').onclick = () => {
  const source = at('name').value.trim() || at('name').placeholder
  load({ kind: 'load', source, keeps: true })
}
at('form').onsubmit = (event) => {
  event.preventDefault()
  if (isAnswering) return
  isAnswering = true
  add('user', at('text').value)
  answer = add('model', '')
  enable({ load: false, chat: false, stop: true })
  say((words) => words.answering)
  worker.postMessage({ kind: 'send', text: at('text').value })
  at('text').value = ''
}
at('stop').onclick = () => worker.postMessage({ kind: 'stop' })
at('again').onclick = () => {
  worker.postMessage({ kind: 'again' })
  at('talk').replaceChildren()
}

translate()
