/** The page: what it shows, and what it asks of the worker, which has the model. */
const at = (id) => document.getElementById(id)
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })

let answer
let isAnswering = false

/** What may be pressed: nothing while a model loads, only Stop while it answers. */
function enable({ load, chat, stop }) {
  for (const id of ['backend', 'embedded', 'file', 'train', 'keep']) at(id).disabled = !load
  for (const id of ['text', 'send', 'again']) at(id).disabled = !chat
  at('stop').disabled = !stop
  at('end').disabled = true
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

/** The losses of all steps, from the upper left to the lower right. */
const losses = []

function drawCurve(steps) {
  const most = Math.max(...losses)
  const points = losses.map((loss, i) => `${(100 * i) / steps} ${100 - (96 * loss) / most}`)
  at('curve').firstElementChild.setAttribute('d', `M${points.join('L')}`)
  const [first, last] = [losses[0], losses[losses.length - 1]].map((loss) => loss.toFixed(2))
  at('curve').setAttribute('aria-label', `Loss: from ${first} to ${last}`)
}

const HEARD = {
  step({ step, steps, loss, tokensPerSecond, secondsLeft }) {
    losses.push(loss)
    drawCurve(steps)
    at('progress').value = step / steps
    const left =
      secondsLeft < 90 ? `${Math.ceil(secondsLeft)} s` : `${Math.ceil(secondsLeft / 60)} min`
    say(
      `Step ${step} of ${steps}: loss ${loss.toFixed(3)}, ${tokensPerSecond.toFixed(0)} tokens/s, ${left} left`,
    )
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
  models({ models }) {
    const lines = models.map(({ name, bytes, isWhole }) => {
      const line = document.createElement('li')
      const button = document.createElement('button')
      button.type = 'button'
      button.textContent = 'Delete'
      button.ariaLabel = `Delete ${name}`
      button.onclick = () => worker.postMessage({ kind: 'delete', name })
      const part = isWhole ? '' : ', not whole yet'
      line.append(`${name} (${(bytes / 1e6).toFixed(0)} MB${part}) `, button)
      return line
    })
    at('models').replaceChildren(...lines)
  },
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

function load(source, keeps = false) {
  enable({ load: false, chat: false, stop: false })
  at('progress').hidden = false
  at('progress').value = 0
  say('Loading …')
  worker.postMessage({ kind: 'load', source, keeps, backend: at('backend').value })
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
  say('Preparing …')
  worker.postMessage({
    ...{ kind: 'train', data, preset: at('preset').value, steps: Number(at('steps').value) },
    backend: at('backend').value,
  })
}
at('end').onclick = () => worker.postMessage({ kind: 'stop' })
at('embedded').onclick = () => load(new URL('/models/bitnet-ja-en-58m.gguf', location.href).href)
at('file').onchange = () => {
  const [file] = at('file').files
  if (file !== undefined) load(file)
}
at('kept').ontoggle = () => at('kept').open && worker.postMessage({ kind: 'models' })
at('keep').onclick = () => load(at('name').value.trim() || at('name').placeholder, true)
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
