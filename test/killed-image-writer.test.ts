/**
 * A process that is killed while it writes a packed image: what it leaves is never used, and the next
 * load writes the image anew.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openNativeBackend } from '../src/backends/native/native-backend.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { loadWeights } from '../src/model/weights/load-weights.ts'
import { weightImages } from '../src/node/images/image-store.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { defaultModelPath } from '../src/node/resolve-model.ts'
import { buildProgram, hasEmbeddedModel, ROOT } from './support/built-program.ts'

let folder = ''
beforeAll(buildProgram)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'killed-writer-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function load(): Promise<string> {
  const backend = openNativeBackend({ threads: 2 })
  const { file } = await openModelFile(defaultModelPath())
  try {
    const config = readConfig(file)
    const store = weightImages({ folder, minLoadMs: 0, minBytes: 0 })
    const request = { backend, file, config, options: {} }
    const loaded = await store?.load(request, () => loadWeights(backend, file, config))
    const image = await loaded?.kept
    loaded?.weights.dispose()
    return image?.state ?? 'turned off'
  } finally {
    await file.close()
    backend.dispose()
  }
}

/**
 * Loads the model and writes its image with the program's own code; the backend stops handing out bytes
 * half way, so that the process is in the middle of the file for as long as it lives.
 */
const WRITER = `
const dist = new URL(process.argv[1])
const from = (path) => import(new URL(path, dist).href)
const { openNativeBackend } = await from('backends/native/native-backend.js')
const { readConfig } = await from('model/config/read-config.js')
const { loadWeights } = await from('model/weights/load-weights.js')
const { weightImages } = await from('node/images/image-store.js')
const { openModelFile } = await from('node/open-model.js')
const { defaultModelPath } = await from('node/resolve-model.js')

const backend = openNativeBackend({ threads: 2 })
const { file } = await openModelFile(defaultModelPath())
const config = readConfig(file)
const store = weightImages({ folder: process.argv[2], minLoadMs: 0, minBytes: 0 })
setInterval(() => {}, 1000)
await store.load({ backend, file, config, options: {} }, async () => {
  const weights = await loadWeights(backend, file, config)
  const map = backend.map.bind(backend)
  backend.map = (buffer) => (buffer.label.startsWith('layer 3') ? undefined : map(buffer))
  backend.read = () => new Promise(() => {})
  return weights
})
`

test.skipIf(!hasEmbeddedModel())(
  'a writer that was killed with SIGKILL leaves nothing that is used or in the way',
  async () => {
    const dist = pathToFileURL(join(ROOT, 'dist', '/')).href
    const args = ['--input-type=module', '-e', WRITER, dist, folder]
    const writer = spawn(process.execPath, args, { stdio: 'inherit' })
    const ended = once(writer, 'exit')
    while ((await readdir(folder)).length === 0 && writer.exitCode === null) await sleep(5)
    expect(await load()).toBe('none')
    writer.kill('SIGKILL')
    expect((await ended)[1]).toBe('SIGKILL')

    expect(await readdir(folder)).toEqual([expect.stringContaining('.partial-')])
    expect(await load()).toBe('written')
    expect(await load()).toBe('mapped')
  },
)
