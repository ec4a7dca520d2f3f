/**
 * Prints the lines of each room and fails over a budget or over the length of a file. Size is a decision:
 * a budget has its reason beside it, and raising one is a commit of its own.
 *
 * Counted are all lines of TypeScript, C and WGSL, comments included, without test material: tests, the cases of
 * operations, and what only tests import.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Rooms with the most lines they may have, and why so many. */
const BUDGETS = {
  'src/kernels': [
    22700,
    "twenty-seven operations of inference: a description, a reference, C for ten instruction sets and one to five shaders each; fourteen of training, with shaders, too; mixtures of experts, forward and backward; draws that leave logits out; a token's gates and rows of up in turns",
  ],
  'src/cli': [
    10900,
    'twenty-one commands, each with its report for people and for programs; completion for three shells; a line editor; lines that fit; a chat that is saved with its cache, a comparison and what surrounds them in two languages',
  ],
  'src/model': [
    7400,
    'configurations of ten families, mixtures among them, weights from every format, all of a file accounted for, one pass for many wants, draws among them, or several in turn and ahead; one cache of blocks for all sequences, with what is known by its tokens, and copies of it that leave and come back; a head that is looked at first; parts of prompts as devices can take them',
  ],
  'src/train': [
    4700,
    'both passes, BitLinear and its estimator, memory and two optimisers, data and its order, the loop and its checkpoints, losses of many steps in one read; runs wherever they live, in Node and in browsers, adapters beside what stays, what is recorded and drawn of them',
  ],
  'src/formats': [
    4050,
    'two containers, split or whole, some thirty codecs, every length checked, JSON bounded and in steps',
  ],
  'src/node': [
    7000,
    'files, encodings, locks, caches, images, energy, a GPU measured beside processors, runs of training and a page that watches them, batches in a file and in Redis, traces: what disks and processes can do wrong',
  ],
  'src/generate': [
    4950,
    'one road of loading, one scheduler for all that runs, sampling and its probabilities, speculation, batches, chats and embeddings, schemas; tables of their options',
  ],
  'src/grammar': [
    2850,
    'JSON Schema and its patterns, an automaton over bytes, the nearest end in tokens, masks over a vocabulary',
  ],
  'src/server': [
    3800,
    'the dialects of two APIs, each field checked; schemas and tools; turns, keys, models, streams, figures and spans; batches, how they end and who works on them',
  ],
  'src/ai-sdk': [300, 'a loaded model as the AI SDK takes one'],
  'src/jinja': [
    4700,
    "the language of chat templates with Python's values, to the letter, and what they may cost",
  ],
  'src/tokenizer': [
    6720,
    'four vocabularies on disk with their normalisers, one in memory, templates; tokenizer.json with what lies beside it, and its expressions, all of it ours and in steps; byte pairs learnt from text, whose words a table cuts',
  ],
  'src/backends': [
    7020,
    'the contract, four backends with their memory, queues and threads, and what programs share of it; lists fused for a GPU, operands in halves, matrices cut for small bindings and images copied to it, with shaders of their own',
  ],
  'src/hub': [
    2460,
    'names, choices and downloads above a store, on disks and in browsers, models read where they are, servers nobody trusts',
  ],
  'src/browser': [
    1450,
    "a page's own road to a model, a store in its private files, training there",
  ],
  'src/convert': [
    2120,
    'both directions, experts stacked, every tensor and vocabulary accounted for, in whatever form it came',
  ],
  'src/eval': [
    1700,
    'eleven tasks by their published rules, and perplexity; results and options checked',
  ],
  'src/bench': [
    1600,
    'speed, limits and energy, each measured beside the machine, beyond its caches, in sequences of the one cache',
  ],
  'src/compare': [1010, 'three precisions side by side, with charts, in two languages'],
  'src/ternary': [410, 'the quantisers, the two layouts, and the orders that let zeros be skipped'],
  native: [
    1720,
    'pool, threads that are moved, list, addon, images and what becomes of cut ones, Windows; the kernels are in src/kernels',
  ],
}
/** Files beside the rooms: errors, checks of values and of options, work in steps, public entries. */
const LOOSE = 800
/** Above this a file has grown two purposes. */
const FILE_LIMIT = 400

function isTestMaterial(file) {
  return (
    /^test\/|\.test\.ts$|^native\/test\//.test(file) ||
    /^src\/kernels\/(.*\/cases\.ts$|testing\/)/.test(file)
  )
}

const tracked = execFileSync('git', ['ls-files', 'src', 'native', 'test', 'scripts'], {
  cwd: root,
  encoding: 'utf8',
})
const lines = { tests: 0, scripts: 0, loose: 0 }
const problems = []
for (const file of tracked.trim().split('\n')) {
  if (!/\.(ts|mjs|js|c|h|wgsl)$/.test(file)) continue
  const count = readFileSync(`${root}/${file}`, 'utf8').split('\n').length - 1
  if (count > FILE_LIMIT) problems.push(`${file}: ${count} lines, more than ${FILE_LIMIT}`)
  const room = Object.keys(BUDGETS).find((name) => file.startsWith(`${name}/`))
  const kind = isTestMaterial(file) ? 'tests' : file.startsWith('scripts/') ? 'scripts' : 'loose'
  const at = kind === 'loose' && room !== undefined ? room : kind
  lines[at] = (lines[at] ?? 0) + count
}

let total = lines.loose
for (const [room, [budget, why]] of Object.entries(BUDGETS)) {
  const count = lines[room] ?? 0
  total += count
  console.log(`${room.padEnd(14)} ${String(count).padStart(5)} of ${budget}: ${why}`)
  if (count > budget) problems.push(`${room}: ${count} lines, more than ${budget}`)
}
console.log(`files beside them ${lines.loose} of ${LOOSE}`)
if (lines.loose > LOOSE)
  problems.push(`files beside the rooms: ${lines.loose} lines, more than ${LOOSE}`)
console.log(
  `src and native: ${total} lines; scripts ${lines.scripts}; test material ${lines.tests}`,
)
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
