/**
 * Fails on an upward import, on an import cycle, on node:* outside the folders that may use it, and where
 * bench/ or a test names a built file whose source is gone: no compiler reads those names.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../src', import.meta.url))

/** From the ground up: a folder may import itself and whatever stands before it. */
const LAYERS = [
  'errors.ts',
  'checks.ts',
  'option-checks.ts',
  'steps.ts',
  'turns.ts',
  'ternary',
  'kernels',
  'formats',
  'backends',
  'jinja',
  'tokenizer',
  'grammar',
  'model',
  'train',
  'generate',
  'server',
  'ai-sdk',
  'convert',
  'hub',
  'portable.ts',
  'browser',
  'browser.ts',
  'bench',
  'eval',
  'compare',
  'node',
  'index.ts',
  'cli',
]

/** Everything else runs in a browser too. */
const NODE_FOLDERS = ['node/', 'cli/', 'backends/native/']

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => file.replaceAll('\\', '/'))

const imports = new Map()
const problems = []

for (const file of files) {
  const text = readFileSync(join(src, file), 'utf8')
  const found = []
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    const name = match[1]
    if (name.startsWith('node:') && !NODE_FOLDERS.some((folder) => file.startsWith(folder))) {
      problems.push(`${file} imports ${name}: only ${NODE_FOLDERS.join(', ')} may.`)
    }
    if (!name.startsWith('.')) continue
    const target = relative(src, join(src, dirname(file), name)).replaceAll('\\', '/')
    // A dynamic import() is a deliberate late choice: it makes no cycle while modules load.
    if (!match[0].includes('(')) found.push(target)
    const [from, to] = [layerOf(file), layerOf(target)]
    if (to > from) problems.push(`${file} imports ${target}: that is a layer above.`)
  }
  imports.set(file, found)
}

function layerOf(file) {
  const layer = LAYERS.indexOf(file.split('/')[0])
  if (layer < 0) problems.push(`${file} is in no layer of scripts/check-layers.mjs.`)
  return layer
}

const state = new Map()
function visit(file, path) {
  if (state.get(file) === 'done' || !imports.has(file)) return
  if (state.get(file) === 'open') {
    problems.push(`Cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`)
    return
  }
  state.set(file, 'open')
  for (const next of imports.get(file)) visit(next, [...path, file])
  state.set(file, 'done')
}
for (const file of files) visit(file, [])

for (const folder of ['bench', 'test']) {
  const programs = readdirSync(join(src, '..', folder), { recursive: true, encoding: 'utf8' })
  for (const file of programs.filter((name) => /\.(ts|mjs)$/.test(name))) {
    const text = readFileSync(join(src, '..', folder, file), 'utf8')
    for (const match of text.matchAll(/(?:'\.\.\/dist\/|\bfrom\(')([\w/.-]+)\.js'/g)) {
      if (existsSync(join(src, `${match[1]}.ts`))) continue
      problems.push(`${folder}/${file} names dist/${match[1]}.js, which has no source in src/.`)
    }
  }
}

if (problems.length > 0) {
  console.error([...new Set(problems)].join('\n'))
  process.exit(1)
}
console.log(`layers: ${files.length} files, no upward import, no cycle`)
