/**
 * Gathers the shaders, base.wgsl in the operations' folders and those of src/backends/webgpu, in a module of
 * strings, so that no bundler has to know of .wgsl files. Comments and indents stay out of it.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../src', import.meta.url))
const FOLDER = `${src}/backends/webgpu`
export const SHADERS = `${FOLDER}/shaders.js`

/** Writes the module if it is not as it should be. @returns whether it was not */
export function buildShaders() {
  const shaders = {}
  for (const operation of readdirSync(`${src}/kernels`)) {
    const file = `${src}/kernels/${operation}/base.wgsl`
    if (existsSync(file)) shaders[operation] = textOf(file)
  }
  for (const file of readdirSync(FOLDER)) {
    if (file.endsWith('.wgsl')) shaders[file.slice(0, -5)] = textOf(`${FOLDER}/${file}`)
  }
  const text = `export const shaders = ${JSON.stringify(shaders, null, 2)}\n`
  if (existsSync(SHADERS) && readFileSync(SHADERS, 'utf8') === text) return false
  writeFileSync(SHADERS, text)
  return true
}

function textOf(file) {
  const lines = readFileSync(file, 'utf8').split('\n')
  const bare = lines.map((line) => line.replace(/\/\/.*/, '').trim())
  return bare.filter((line) => line !== '').join('\n')
}
