/**
 * A packed image that somebody cuts short while it is mapped: the system ends whoever reads what is gone. In a
 * child, because it ends.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildProgram, hasEmbeddedModel, ROOT } from './support/built-program.ts'

let folder = ''
beforeAll(buildProgram)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'truncated-image-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Maps the model's weights, then does what is asked for. */
const CHILD = `
const [, dist, folder, deed] = process.argv
const from = (path) => import(new URL(path, dist).href)
const { openNativeBackend } = await from('backends/native/native-backend.js')
const { readConfig } = await from('model/config/read-config.js')
const { loadWeights } = await from('model/weights/load-weights.js')
const { describeWeights } = await from('model/weights/weight-description.js')
const { weightImages } = await from('node/images/image-store.js')
const { openModelFile } = await from('node/open-model.js')
const { defaultModelPath } = await from('node/resolve-model.js')
const { truncateSync } = await import('node:fs')

const backend = openNativeBackend({ threads: 2 })
const { file } = await openModelFile(defaultModelPath())
const config = readConfig(file)
const store = weightImages({ folder, minLoadMs: 0, minBytes: 0 })
// An int4 head reads a few rows of a large part, which lie in the file alone.
const options = deed === 'replaced' ? { head: 'int4' } : {}
const load = async () => {
  const request = { backend, file, config, options }
  const loaded = await store.load(request, () => loadWeights(backend, file, config, options))
  return { ...loaded, image: await loaded.kept }
}
const written = await load()
// With "replaced", what was written takes the file's pages in place of its own.
if (deed !== 'replaced') written.weights.dispose()
const loaded = deed === 'replaced' ? written : await load()
console.log(loaded.image.state)
const { buffers } = describeWeights(loaded.weights)
if (deed === 'signal') {
  process.kill(process.pid, 'SIGBUS')
  await new Promise((resolve) => setTimeout(resolve, 60_000))
}
if (deed === 'released') loaded.weights.dispose()
else {
  truncateSync(loaded.image.path, 4096)
  for (const { buffer } of buffers) await backend.read(buffer)
}
console.log('went on')
`

async function run(deed: string) {
  const dist = pathToFileURL(join(ROOT, 'dist', '/')).href
  const args = ['--input-type=module', '-e', CHILD, dist, folder, deed]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', (data) => {
    out += data
  })
  child.stderr.on('data', (data) => {
    err += data
  })
  const [code, signal] = await once(child, 'close')
  return { code, signal, out: out.trim().split('\n'), err }
}

const isHere = hasEmbeddedModel() && process.platform !== 'win32'

test.skipIf(!isHere).each([
  ['mapped', 'mapped'],
  // On Linux, where pages of a file can take the place of others.
  ...(process.platform === 'linux' ? [['replaced', 'written']] : []),
])('whose bytes are gone ends the program in a sentence (%s)', async (deed, state) => {
  const outcome = await run(deed)
  expect(outcome).toMatchObject({ code: 1, signal: null, out: [state] })
  expect(outcome.err).toMatch(/^bitnet: A packed image of weights was cut short.*made anew\.\n$/)
})

test.skipIf(!isHere)('that has been given back is not in the way', async () => {
  expect(await run('released')).toEqual({
    code: 0,
    signal: null,
    out: ['mapped', 'went on'],
    err: '',
  })
})

test.skipIf(!isHere)("somebody else's SIGBUS ends the program as ever", async () => {
  const outcome = await run('signal')
  expect(outcome).toMatchObject({ code: null, signal: 'SIGBUS', out: ['mapped'], err: '' })
})
