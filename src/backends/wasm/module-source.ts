/**
 * Finds and compiles WebAssembly modules: those beside this file, those of a folder that a caller names, or
 * the one that a caller gives. In Node and in browsers alike.
 */
import { bytesOf, messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import type { WasmSource } from '../backend.ts'
import { nodeProcess } from './host.ts'
import { type WasmIsa, WIDE_ISA } from './module.ts'

/** What a module was built for. */
export interface ModuleFacts {
  readonly isa: WasmIsa
  readonly threaded: boolean
}

export interface WasmModules {
  /** What the only module is; undefined where there is one for each variant. */
  readonly only?: ModuleFacts
  /** The workers' script, where it is not the one beside this file. */
  readonly worker?: URL
  /** @throws BackendError if the module cannot be read or compiled */
  compile(facts: ModuleFacts): Promise<WebAssembly.Module>
}

/** The modules' places, written so that bundlers see each file. */
const MODULES: Record<WasmIsa, { alone: URL; threads: URL }> = {
  'wasm-simd': {
    alone: new URL('./bitnet-simd.wasm', import.meta.url),
    threads: new URL('./bitnet-simd-threads.wasm', import.meta.url),
  },
  'wasm-relaxed-simd': {
    alone: new URL('./bitnet-relaxed-simd.wasm', import.meta.url),
    threads: new URL('./bitnet-relaxed-simd-threads.wasm', import.meta.url),
  },
  [WIDE_ISA]: {
    alone: new URL('./bitnet64-relaxed-simd.wasm', import.meta.url),
    threads: new URL('./bitnet64-relaxed-simd-threads.wasm', import.meta.url),
  },
}

/**
 * @param wasm unset: the modules beside this file
 * @throws BackendError if the module that is given cannot be read, or is none of ours
 */
export async function openModules(wasm?: WasmSource): Promise<WasmModules> {
  if (wasm === undefined) {
    const urlOf = ({ isa, threaded }: ModuleFacts) => MODULES[isa][threaded ? 'threads' : 'alone']
    return { compile: (facts) => load(urlOf(facts)) }
  }
  const given = bytesOf(wasm)
  if (given !== undefined) return onlyModule(given, 'that was given')
  const url = addressOf(wasm as string | URL)
  if (!url.pathname.endsWith('/')) return onlyModule(await read(url), url.href)
  const fileOf = ({ isa, threaded }: ModuleFacts) =>
    `${isa.replace('wasm', 'bitnet')}${threaded ? '-threads' : ''}.wasm`
  // Workers of Node are started from the package's own file, which is always there.
  const worker = nodeProcess() === undefined ? { worker: new URL('worker.js', url) } : {}
  return { ...worker, compile: (facts) => load(new URL(fileOf(facts), url)) }
}

function onlyModule(given: Uint8Array, name: string): WasmModules {
  // A copy, in memory that is not shared: others cannot be compiled from everywhere.
  const bytes = new Uint8Array(given)
  const only = factsOf(bytes)
  if (only !== undefined) return { only, compile: () => compile(bytes, name) }
  throw new BackendError(
    `Expected the WebAssembly module ${name} to be one of bitnet-ts's, got something else. The address ` +
      'of a folder that has all of them ends in "/".',
  )
}

/** Import of a memory: "env", "memory", the kind, then flags (1: a maximum, 2: shared, 4: 64 bits). */
const MEMORY_IMPORT = [3, 0x65, 0x6e, 0x76, 6, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 2]
/** i32x4.relaxed_dot_i8x16_i7x16_add_s, which all products of relaxed modules are made of. */
const RELAXED_DOT = [0xfd, 0x93, 0x02]
const MAGIC = [0, 0x61, 0x73, 0x6d]

/** By what a module imports and is made of; undefined for none of ours. */
function factsOf(bytes: Uint8Array): ModuleFacts | undefined {
  const at = placeOf(bytes, MEMORY_IMPORT)
  if (placeOf(bytes, MAGIC) !== 0 || at === undefined) return undefined
  const flags = bytes[at + MEMORY_IMPORT.length]
  const isRelaxed = placeOf(bytes, RELAXED_DOT) !== undefined
  const narrow = isRelaxed ? 'wasm-relaxed-simd' : 'wasm-simd'
  return { isa: (flags & 4) === 0 ? narrow : WIDE_ISA, threaded: (flags & 2) !== 0 }
}

function placeOf(bytes: Uint8Array, wanted: readonly number[]): number | undefined {
  for (let at = bytes.indexOf(wanted[0]); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at
  }
  return undefined
}

/** Relative to the page, or in Node to the working folder. */
function addressOf(place: string | URL): URL {
  const node = nodeProcess()
  // "C:" is a drive.
  const isPath = node !== undefined && !/^[a-z][a-z\d+.-]+:/i.test(String(place))
  if (isPath) return node.getBuiltinModule('node:url').pathToFileURL(String(place))
  const base = globalThis.location?.href
  if (URL.canParse(place, base)) return new URL(place, base)
  throw new BackendError(`Expected wasm to be the address of a module or folder, got "${place}".`)
}

async function load(url: URL): Promise<WebAssembly.Module> {
  return compile(await read(url), url.href)
}

async function compile(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes)
  } catch (cause) {
    throw notLoaded(name, cause)
  }
}

async function read(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readBytes(url)
  } catch (cause) {
    throw notLoaded(url.href, cause)
  }
}

function notLoaded(name: string, cause: unknown): BackendError {
  const reason = messageOf(cause)
  return new BackendError(`The WebAssembly module ${name} does not load: ${reason}`, { cause })
}

async function readBytes(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  if (url.protocol === 'file:') {
    // Node's fetch does not read files; neither does a page that was opened from a disk.
    const node = nodeProcess()
    if (!node) throw new Error('a page opened from a disk cannot fetch it; use a server')
    return new Uint8Array(await node.getBuiltinModule('node:fs/promises').readFile(url))
  }
  const response = await fetch(url)
  if (!response.ok) throw new Error(`HTTP status ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}
