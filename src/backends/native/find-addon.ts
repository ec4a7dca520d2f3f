/**
 * Where the addon's binary is: as built in a checkout, else in the package of this platform, which is an
 * optional dependency. Where there is none, the error has the command that brings it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BackendError } from '../../errors.ts'

/** Where it is looked for; tests have a place of their own. */
export interface AddonPlace {
  /** The folder of bitnet-ts: an installed package or a checkout. */
  readonly root: string
  /** "linux-x64", "linux-x64-musl", "darwin-arm64", ...: the names of scripts/toolchain.mjs. */
  readonly platform: string
}

export function thisPlace(): AddonPlace {
  return { root: fileURLToPath(new URL('../../..', import.meta.url)), platform: platformName() }
}

/** Platforms that have a package; elsewhere a checkout builds with the system's compiler. */
export const PACKAGED = /^(linux-(x64|arm64)(-musl)?|(darwin|win32)-(x64|arm64))$/

function platformName(): string {
  const { platform, arch } = process
  return `${platform}-${arch}${platform === 'linux' && isMusl() ? '-musl' : ''}`
}

function isMusl(): boolean {
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean | undefined }
  const kept = report.excludeNetwork
  // With the network, a report asks for the names of all addresses in use.
  report.excludeNetwork = true
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
  report.excludeNetwork = kept
  return header.glibcVersionRuntime === undefined
}

/**
 * @returns the path of the addon for `place`
 * @throws BackendError with the command that brings it
 */
export function findAddon({ root, platform }: AddonPlace): string {
  if (existsSync(join(root, 'native/addon.c'))) {
    const built = join(root, `native/build/${platform}/bitnet.node`)
    if (existsSync(built)) return built
    throw new BackendError(`The addon is not built in ${dirname(built)}: npm run build`)
  }
  if (!PACKAGED.test(platform)) throw new BackendError(`There is no package for ${platform}.`)
  const name = `@bitnet-ts/native-${platform}`
  const version = versionOf(join(root, 'package.json'))
  const bring = installCommand(root, version === undefined ? name : `${name}@${version}`)
  let path: string
  try {
    path = createRequire(join(root, 'package.json')).resolve(name)
  } catch {
    throw new BackendError(`The package ${name} is not installed: ${bring}`)
  }
  // Both sides must know the same commands: another version's would read other memory.
  const installed = versionOf(join(dirname(path), 'package.json'))
  if (installed === version) return path
  throw new BackendError(
    `The package ${name} is of version ${installed}, bitnet-ts of ${version}: ${bring}`,
  )
}

function versionOf(manifest: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { version?: string }).version
  } catch {
    return undefined
  }
}

/**
 * By the package manager that installed `root`. As an optional dependency, so that a project installs on
 * other platforms too.
 */
function installCommand(root: string, wanted: string): string {
  if (/[\\/]\.pnpm[\\/]/.test(root)) return `pnpm add --save-optional ${wanted}`
  const project = dirname(dirname(root))
  if (existsSync(join(project, 'yarn.lock'))) return `yarn add --optional ${wanted}`
  if (existsSync(join(project, 'bun.lock'))) return `bun add --optional ${wanted}`
  const isGlobal = !existsSync(join(project, 'package.json'))
  return `npm install ${isGlobal ? '--global' : '--save-optional'} ${wanted}`
}
