/** The page: what it shows, and what it asks of the worker, which has the model. */
const at = (id) => document.getElementById(id)
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })

let answer
let isAnswering = false

/** What may be pressed: nothing while a model loads, only Stop while it answers. */
function enable({ load, chat, stop }) {
  for (const id of ['backend', 'embedded', 'file']) at(id).disabled = !load
  for (const id of ['text', 'send', 'again']) at(id).disabled = !chat
  at('stop').disabled = !stop
}

function say(text) {
  at('status').textContent = text
}

function add(who, text) {
  const line = document.createElement('p')
  line.className = who
  line.textContent = text
  at('talk').append(line)
  return line
}

const HEARD = {
  progress({ fraction }) {
    at('progress').value = fraction
  },
  loaded({ name, backend, seconds }) {
    at('progress').hidden = true
    say(`${name}: ${backend}; loaded in ${seconds.toFixed(2)} s`)
    at('talk').replaceChildren()
    enable({ load: true, chat: true, stop: false })
    at('text').focus()
  },
  text({ text }) {
    answer.textContent += text
  },
  done({ tokens, speed, reason }) {
    isAnswering = false
    const ending = reason === 'cancelled' ? '; stopped' : ''
    say(`${tokens} tokens, ${speed.toFixed(0)} tokens/s${ending}`)
    enable({ load: true, chat: true, stop: false })
    at('text').focus()
  },
  failed({ message, hasModel }) {
    isAnswering = false
    at('progress').hidden = true
    say(message)
    enable({ load: true, chat: hasModel, stop: false })
  },
}

worker.onmessage = ({ data }) => HEARD[data.kind](data)
worker.onerror = (event) => HEARD.failed({ message: event.message ?? 'The worker does not load.' })

function load(source) {
  enable({ load: false, chat: false, stop: false })
  at('progress').hidden = false
  at('progress').value = 0
  say('Loading …')
  worker.postMessage({ kind: 'load', source, backend: at('backend').value })
}

at('embedded').onclick = () => load(new URL('/models/bitnet-ja-en-58m.gguf', location.href).href)
at('file').onchange = () => {
  const [file] = at('file').files
  if (file !== undefined) load(file)
}
at('form').onsubmit = (event) => {
  event.preventDefault()
  if (isAnswering) return
  isAnswering = true
  add('user', at('text').value)
  answer = add('model', '')
  enable({ load: false, chat: false, stop: true })
  say('Answering …')
  worker.postMessage({ kind: 'send', text: at('text').value })
  at('text').value = ''
}
at('stop').onclick = () => worker.postMessage({ kind: 'stop' })
at('again').onclick = () => {
  worker.postMessage({ kind: 'again' })
  at('talk').replaceChildren()
}
