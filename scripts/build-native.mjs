/**
 * Compiles native/ and the kernels' C, one file per instruction set with its own flags. With Zig's
 * compiler from npm that is for any target from any host; see toolchain.mjs.
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
import { compilersFor, hostTarget, STRICT, targetNamed, variantsOf, zig } from './toolchain.mjs'

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

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
  // Affinity of threads on Linux; see native/threads.h.
  '-D_GNU_SOURCE',
  '-DBUILDING_NODE_EXTENSION',
  // Vectors are only passed to functions that are always inlined.
  '-Wno-psabi',
]

const ADDON = ['addon', 'addon-image', 'image', 'image-fault', 'node-imports'].map(
  (name) => `native/${name}.c`,
)
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
function stampOf(what, headers) {
  const hash = createHash('sha256').update(headers['operations.h'])
  const files = [...filesUnder('native', /\.[ch]$/), ...filesUnder('src/kernels', /\.[ch]$/)]
  for (const file of [...files, 'scripts/build-native.mjs', 'scripts/toolchain.mjs']) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  return hash.update(what).digest('hex')
}

/**
 * Runs `make` with the first compiler that can, unless all of `outputs` in native/build/`folder` are there
 * with the stamp of these sources.
 *
 * @returns the compiler's name; undefined if they were up to date
 * @throws Error with what each compiler said
 */
async function unlessFresh(folder, compilers, outputs, make) {
  const headers = await operationHeaders()
  const stampFile = join(root, 'native/build', folder, 'stamp')
  const stamp = stampOf(`${folder} ${compilers.map(({ name }) => name)}`, headers)
  const isFresh = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp
  if (isFresh && outputs.every((output) => existsSync(output))) return undefined
  writeHeaders(join(root, 'native/build', folder), headers)
  const failures = []
  for (const compiler of compilers) {
    try {
      await make(compiler)
      writeFileSync(stampFile, stamp)
      return compiler.name
    } catch (error) {
      failures.push(`${compiler.name}: ${(error.stderr || error.message).slice(0, 2000)}`)
    }
  }
  throw new Error(failures.join('\n'))
}

function writeHeaders(folder, headers) {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(headers)) writeFileSync(join(folder, name), text)
}

function linkFlags({ platform }) {
  if (platform === 'darwin') {
    // Without a name of its own a library has the path where it was built.
    return ['-undefined', 'dynamic_lookup', '-Wl,-install_name,@rpath/bitnet.node']
  }
  if (platform === 'win32') return []
  // Node's symbols come from the process that loads the addon.
  return ['-Wl,-z,lazy', '-lpthread']
}

/** Runs a compiler in the folder of the sources. The same sources give the same bytes, at any time. */
async function runIn({ command: [program, ...first] }, args) {
  const env = { ...process.env, SOURCE_DATE_EPOCH: '0' }
  await run(program, [...first, ...args], { cwd: root, env })
}

/** Compiles `sources` and the variants. @returns the object files */
async function compileAll(compiler, target, build, sources, variants = variantsOf(target.arch)) {
  const compile = async (source, extra) => {
    const object = join(build, `${source.replaceAll(/[/.]/g, '-')}.o`)
    const include = ['-I', build, '-I', nodeHeaders()]
    const position = target.platform === 'win32' ? [] : ['-fPIC']
    const flags = [...FLAGS, ...compiler.flags, ...position, ...include, ...extra]
    await runIn(compiler, [...flags, '-c', join(root, source), '-o', object])
    return object
  }
  const jobs = sources.map((source) => () => compile(source, []))
  for (const isa of variants) {
    jobs.push(() => compile(`src/kernels/c/variants/${isa}.c`, compiler.variantFlags(isa)))
  }
  // The first one alone: it fills the compiler's cache of system libraries for the rest.
  const first = await jobs[0]()
  return [first, ...(await Promise.all(jobs.slice(1).map((job) => job())))]
}

function nodeHeaders() {
  return join(require.resolve('node-api-headers/package.json'), '../include')
}

/** Builds native/build/<target>/bitnet.node. @returns as {@link unlessFresh} */
export async function buildNative(target) {
  const build = join(root, 'native/build', target.name)
  const compilers = await compilersFor(target)
  return unlessFresh(target.name, compilers, [join(build, 'bitnet.node')], (compiler) =>
    makeAddon(compiler, target, build),
  )
}

/**
 * This machine's addon with some variants, by a compiler of one's own choice.
 *
 * @param cpu the C file that names the variants, in place of native/cpu.c
 * @returns the path of <build>/bitnet.node
 */
export async function buildAddon(compiler, build, variants, cpu) {
  writeHeaders(build, await operationHeaders())
  return makeAddon(compiler, hostTarget(), build, variants, cpu)
}

async function makeAddon(compiler, target, build, variants = variantsOf(target.arch), cpu = CPU) {
  const sources = [...ADDON, cpu, ...SHARED]
  const objects = await compileAll(compiler, target, build, sources, variants)
  const output = join(build, 'bitnet.node')
  await runIn(compiler, ['-shared', '-s', '-o', output, ...objects, ...linkFlags(target)])
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
  writeHeaders(build, headers)
  const [compiler] = await compilersFor(hostTarget())
  const quick = { ...compiler, flags: [...compiler.flags, '-O1'] }
  const addon = makeAddon(quick, hostTarget(), build, ['portable'], cpu)
  const module = join(build, 'bitnet-simd.wasm')
  const facts = { ...WASM_VARIANTS['wasm-simd'], build, name: 'bitnet-simd', output: module }
  await Promise.all([addon, buildWasmModule(zig(), { ...facts, extra: ['-O1'] })])
  return { addon: await addon, module }
}

/**
 * Builds native/build/replay-<target>/conformance-replay, a program that runs recorded cases with every
 * variant, for linux-*; with musl it is static. @returns as {@link unlessFresh}
 */
async function buildReplay(target) {
  const name = `replay-${target.name}`
  const build = join(root, 'native/build', name)
  const output = join(build, 'conformance-replay')
  const link = target.libc === 'musl' ? ['-s', '-static'] : ['-s']
  return unlessFresh(name, await compilersFor(target), [output], (compiler) =>
    makeReplay(compiler, target, build, link),
  )
}

async function makeReplay(compiler, target, build, link, variants, cpu = CPU) {
  const sources = ['conformance-replay', ...(target.arch === 'x64' ? EMULATION : [])]
  const paths = [...sources.map((source) => `native/test/${source}.c`), cpu, ...SHARED]
  const objects = await compileAll(compiler, target, build, paths, variants)
  const output = join(build, 'conformance-replay')
  await runIn(compiler, ['-o', output, ...objects, '-lpthread', ...link])
  return output
}

/**
 * This machine's replay program, and its addon where `hasAddon` is set, with a compiler's sanitizers.
 *
 * @param checks what -fsanitize takes
 * @param variants unset: all
 * @param cpu the C file that names the variants, in place of native/cpu.c
 * @returns the paths of both; the addon asks its process for the sanitizers' library
 */
export async function buildChecked(compiler, folder, { checks, variants, cpu = CPU, hasAddon }) {
  const build = join(root, 'native/build', folder)
  const target = hostTarget()
  const [replay, addon] = [join(build, 'conformance-replay'), join(build, 'bitnet.node')]
  const flags = [`-fsanitize=${checks}`, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
  const checked = { ...compiler, flags: [...compiler.flags, '-O1', '-g', ...flags] }
  const outputs = hasAddon ? [replay, addon] : [replay]
  await unlessFresh(folder, [checked], outputs, async () => {
    await makeReplay(checked, target, build, [`-fsanitize=${checks}`], variants, cpu)
    if (!hasAddon) return
    // The variants' objects are there already.
    const objects = await compileAll(checked, target, build, [...ADDON, cpu, ...SHARED], [])
    const kernels = variantsOf(target.arch).map((isa) =>
      join(build, `src-kernels-c-variants-${isa}-c.o`),
    )
    const link = [`-fsanitize=${checks}`, '-shared-libsan', ...linkFlags(target)]
    await runIn(checked, ['-shared', '-o', addon, ...objects, ...kernels, ...link])
  })
  return { replay, addon }
}

/** Where the WebAssembly modules lie beside the code that loads them. */
export const WASM_FOLDER = 'src/backends/wasm'

/** Builds the WebAssembly modules into {@link WASM_FOLDER}. @returns as {@link unlessFresh} */
export async function buildWasm() {
  const modules = Object.entries(WASM_VARIANTS).flatMap(([variant, facts]) =>
    [false, true].map((threads) => {
      const name = variant.replace('wasm', 'bitnet') + (threads ? '-threads' : '')
      const build = join(root, 'native/build/wasm')
      return { ...facts, build, threads, name, output: join(root, WASM_FOLDER, `${name}.wasm`) }
    }),
  )
  const outputs = modules.map(({ output }) => output)
  return unlessFresh('wasm', [zig()], outputs, async (compiler) => {
    await Promise.all(modules.map((module) => buildWasmModule(compiler, module)))
  })
}

async function buildWasmModule(compiler, facts) {
  const { build, name, source, cpu, bits, maxMemory, threads = false, output, extra = [] } = facts
  const flags = [`-mcpu=${cpu}${threads ? '+atomics' : ''}`, ...FLAGS, ...STRICT, ...extra]
  const compile = async (file) => {
    const object = join(build, `${name}-${file.replaceAll(/[/.]/g, '-')}.o`)
    const target = ['-target', `wasm${bits}-freestanding`]
    await runIn(compiler, ['cc', ...target, ...flags, '-I', build, '-c', file, '-o', object])
    return object
  }
  const objects = await Promise.all(['native/wasm.c', 'native/list.c', source].map(compile))
  // The linker itself: by way of "zig cc" no memory can be larger than 4 GiB.
  const link = ['wasm-ld', `-mwasm${bits}`, ...WASM_LINK]
  if (threads) link.push('--shared-memory', `--max-memory=${maxMemory}`)
  await runIn(compiler, [...link, ...objects, '-o', output])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = { target: { type: 'string', multiple: true }, replay: { type: 'boolean' } }
  const { target: names, replay } = parseArgs({ options }).values
  const say = (what, compiler) => {
    console.error(`${what}: ${compiler ? `built with ${compiler}` : 'up to date'}`)
  }
  for (const target of names ? names.map(targetNamed) : [hostTarget()]) {
    const folder = `native/build/${replay ? 'replay-' : ''}${target.name}`
    say(folder, await (replay ? buildReplay : buildNative)(target))
    if (replay) console.log(join(root, folder, 'conformance-replay'))
  }
  if (!names && !replay) say(WASM_FOLDER, await buildWasm())
}
