/**
 * Gathers the shaders, those in the operations' folders and those of src/backends/webgpu, in a module of
 * strings, so that no bundler has to know of .wgsl files. Comments and indents stay out of it.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../src', import.meta.url))
const FOLDER = `${src}/backends/webgpu`
export const SHADERS = `${FOLDER}/shaders.js`

/** Writes the module if it is not as it should be. @returns whether it was not */
export function buildShaders() {
  const shaders = {}
  for (const operation of readdirSync(`${src}/kernels`)) {
    for (const file of wgslFiles(`${src}/kernels/${operation}`)) {
      const name = file === 'base.wgsl' ? operation : `${operation}/${file.slice(0, -5)}`
      shaders[name] = textOf(`${src}/kernels/${operation}/${file}`)
    }
  }
  for (const file of wgslFiles(FOLDER)) shaders[file.slice(0, -5)] = textOf(`${FOLDER}/${file}`)
  const text = `export const shaders = ${JSON.stringify(shaders, null, 2)}\n`
  if (existsSync(SHADERS) && readFileSync(SHADERS, 'utf8') === text) return false
  writeFileSync(SHADERS, text)
  return true
}

function wgslFiles(folder) {
  const isFolder = statSync(folder).isDirectory()
  return isFolder ? readdirSync(folder).filter((file) => file.endsWith('.wgsl')) : []
}

function textOf(file) {
  const lines = readFileSync(file, 'utf8').split('\n')
  const bare = lines.map((line) => line.replace(/\/\/.*/, '').trim())
  return bare.filter((line) => line !== '').join('\n')
}
