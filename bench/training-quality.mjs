/**
 * What ternary weights, or experts, cost or gain: runs of `bitnet train` on the same text that differ in one option, a
 * few seeds of each. Writes results.json, curves.svg and, to stdout, a table of held-out bits per byte.
 *
 *   node bench/training-quality.mjs --out FOLDER [--kinds quant=b158 --kinds quant=none] [--seeds 3] [--parallel 1]
 *     -- --data TEXT... --preset 6m --tokens 16000000 [any option of `bitnet train`]
 *
 * A kind is options of `bitnet train` as name=value, several of them parted by spaces. Runs that are in FOLDER whole are
 * not run again.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { panelsSvg } from '../dist/train/curves-svg.js'

const PROGRAM = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const INKS = ['a', 'b', 'c']

const split = process.argv.indexOf('--')
if (split < 0) throw new Error('Expected options of `bitnet train` behind --.')
const { values } = parseArgs({
  args: process.argv.slice(2, split),
  options: {
    out: { type: 'string' },
    kinds: { type: 'string', multiple: true, default: ['quant=b158', 'quant=none'] },
    seeds: { type: 'string', default: '3' },
    parallel: { type: 'string', default: '1' },
  },
})
const shared = process.argv.slice(split + 1)
mkdirSync(values.out, { recursive: true })

const runs = Array.from({ length: Number(values.seeds) }, (_, seed) =>
  values.kinds.map((kind) => ({ kind, seed, folder: join(values.out, nameOf(kind, seed)) })),
).flat()
const waiting = [...runs]
await Promise.all(
  Array.from({ length: Number(values.parallel) }, async () => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) await trained(run)
  }),
)

function nameOf(kind, seed) {
  return `${kind.replace(/[^a-z0-9]+/g, '-')}-${seed}`
}

function eventsOf(folder) {
  return readFileSync(join(folder, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

function isThere(folder) {
  if (!existsSync(join(folder, 'log.jsonl'))) return false
  const events = eventsOf(folder)
  const last = events.findLast(({ type }) => type === 'step')
  return last !== undefined && last.step === last.steps
}

async function trained({ kind, seed, folder }) {
  if (isThere(folder)) return
  const own = kind.split(' ').map((option) => `--${option}`)
  const quiet = ['--sample-every', '0', '--look-every', '0', '--save-every', '1000000']
  const args = ['train', '--out', folder, ...shared, ...own, '--seed', String(seed), ...quiet]
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data) => {
    said = (said + data).slice(-2000)
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${kind}, seed ${seed}, ended with ${code}: ${said}`)
  process.stderr.write(`${kind}, seed ${seed}: done\n`)
}

const results = runs.map(({ kind, seed, folder }) => {
  const events = eventsOf(folder)
  const { parameters, tokens } = events.find(({ type }) => type === 'start')
  const heldOut = events.filter(({ type }) => type === 'held-out')
  const steps = events.filter(({ type }) => type === 'step')
  const speed = steps.map(({ tokensPerSecond }) => tokensPerSecond).sort((a, b) => a - b)
  return {
    ...{ kind, seed, parameters, tokens, tokensPerSecond: speed[speed.length >> 1] },
    heldOut: heldOut.map(({ step, loss, bitsPerByte }) => ({ step, loss, bitsPerByte })),
  }
})
writeFileSync(join(values.out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`)

const curvesOf = (field) =>
  values.kinds.flatMap((kind, k) =>
    results
      .filter((run) => run.kind === kind)
      .map(({ seed, heldOut }) => ({
        name: seed === 0 ? kind : '',
        ink: INKS[k % INKS.length],
        points: heldOut.map((one) => [one.step, one[field]]),
      })),
  )
const panels = [
  { title: 'Held-out loss, nats a token', curves: curvesOf('loss') },
  { title: 'Held-out bits per byte', curves: curvesOf('bitsPerByte') },
]
const about = `${values.kinds.join(' beside ')}, ${values.seeds} seeds each.`
writeFileSync(join(values.out, 'curves.svg'), panelsSvg('Runs compared', about, panels))

const middle = Math.floor(results[0].heldOut.length / 2)
const row = (cells) => console.log(`| ${cells.join(' | ')} |`)
row(['kind', 'parameters', 'seeds halfway', 'seeds at the end', 'mean'])
row(['---', '---', '---', '---', '---'])
for (const kind of values.kinds) {
  const own = results.filter((run) => run.kind === kind)
  const bits = (at) => own.map(({ heldOut }) => heldOut.at(at).bitsPerByte)
  const ends = bits(-1)
  const mean = ends.reduce((sum, one) => sum + one, 0) / ends.length
  const text = (numbers) => numbers.map((one) => one.toFixed(4)).join(', ')
  row([kind, own[0].parameters, text(bits(middle)), text(ends), mean.toFixed(4)])
}
