/**
 * Installs the packages of release/ as a stranger would, from a registry into empty projects, and runs
 * them: with every supported Node, every package manager, and the systems that can be had on this
 * machine. Each run names the backend that it ran on and writes the same greedy text.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hostTarget } from '../toolchain.mjs'
import { has, Tools, tell } from './check-tools.mjs'
import { startRegistry } from './local-registry.mjs'
import { bunOnMusl } from './musl.mjs'
import { sha256 } from './sbom.mjs'

/**
 * What is installed besides what is checked. Node for Windows: the newest that Wine 8 runs (from 22 on V8
 * reserves memory in a way that it has not). pnpm: the newest that is a program for Node.
 */
const VERSIONS = {
  node: ['20', '22', '24'],
  nodeOnWine: '20',
  verdaccio: '6.10.4',
  pnpm: '10.34.8',
  yarn: '1.22.22',
  '@yarnpkg/cli-dist': '4.18.1',
  bun: '1.4.5',
}

/** Written into each project. The result goes to a file, as Wine has no pipes that Node could write to. */
const PROGRAM = `
import { writeFileSync } from 'node:fs'
import { loadModel } from 'bitnet-ts'
const model = await loadModel(undefined, { threads: 2 })
const generation = model.generate('Once upon a time', { maxTokens: 12, temperature: 0 })
let text = ''
for await (const piece of generation) text += piece
const { backend } = await generation.result
await model[Symbol.asyncDispose]()
const { version, platform, arch } = process
writeFileSync('ran.json', JSON.stringify({ backend, text, version, platform, arch }))
`

class Check {
  rows = []
  #text

  /** @param place { work, url, env, tools, npm, only } */
  constructor(place) {
    Object.assign(this, place)
  }

  /** An empty project that installs from the local registry, whichever package manager it is. */
  project(name, files = {}) {
    const folder = join(this.work, name.replaceAll(/\W+/g, '-'))
    mkdirSync(folder)
    const own = {
      'package.json': '{ "name": "empty", "version": "1.0.0", "private": true }',
      'run.mjs': PROGRAM,
      '.npmrc': `registry=${this.url}\n`,
      ...files,
    }
    for (const [file, text] of Object.entries(own)) writeFileSync(join(folder, file), text)
    return folder
  }

  /** The same bytes have the same speed. @throws Error for an addon of other sources */
  isOfThisCheckout(folder) {
    const { name } = hostTarget()
    const installed = sha256(join(folder, `node_modules/@bitnet-ts/native-${name}/bitnet.node`))
    const built = fileURLToPath(new URL(`../../native/build/${name}/bitnet.node`, import.meta.url))
    if (installed !== sha256(built)) throw new Error(`The addon is not ${built}: npm run package`)
  }

  npmInstall(folder, ...args) {
    const how = ['--no-audit', '--no-fund', '--registry', this.url]
    return tell([...this.npm, 'install', ...how, ...args], { cwd: folder, env: this.env })
  }

  /** Runs the program and sees to its backend, its text and what it says. @returns its result */
  async ran(folder, command, { backend = 'native', says = /^$/, env = {} } = {}) {
    const file = join(folder, 'ran.json')
    rmSync(file, { force: true })
    const options = {
      cwd: folder,
      env: { ...this.env, BITNET_CACHE: join(folder, 'cache'), ...env },
    }
    const { stderr } = await tell(command, options)
    const result = JSON.parse(readFileSync(file, 'utf8'))
    this.#text ??= result.text
    if (result.backend.name !== backend) {
      throw new Error(`Expected ${backend}, ran ${result.backend.description}. ${stderr}`)
    }
    if (result.text !== this.#text) {
      throw new Error(`Expected ${JSON.stringify(this.#text)}, got ${JSON.stringify(result.text)}.`)
    }
    const said = stderr.trim()
    if (!says.test(said)) throw new Error(`Expected ${says} on standard error, got: ${said}`)
    return { ...result, stderr: said }
  }

  /** The program that npm links, as a user calls it. @returns as {@link ran} */
  async ranCommand(folder, command) {
    const flags = ['generate', '-p', 'Once upon a time', '-n', '4', '--temperature', '0', '--json']
    const { stdout } = await tell([...command, ...flags], { cwd: folder, env: this.env })
    const { backend } = JSON.parse(stdout)
    if (backend.name !== 'native') throw new Error(`bitnet ran on ${backend.description}.`)
    return { backend, version: 'the command', arch: process.arch }
  }

  /** @param act returns what ran; or a string, why it cannot be tried here */
  async row(name, act) {
    if (!this.only.test(name)) return
    if (process.stderr.isTTY) process.stderr.write(`${name} ...`)
    const began = Date.now()
    const row = { name }
    try {
      const result = await act()
      if (typeof result === 'string') row.skipped = result
      else row.ran = `${result.backend.description} on ${result.version} ${result.arch}`
    } catch (error) {
      row.failed = error.message
    }
    const state = row.failed ? `FAILED: ${row.failed}` : (row.ran ?? `not run: ${row.skipped}`)
    const seconds = Math.round((Date.now() - began) / 1000)
    process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${name}: ${state} (${seconds} s)\n`)
    this.rows.push(row)
  }
}

async function checkHost(check) {
  const { tools } = check
  for (const version of VERSIONS.node) {
    await check.row(`npm, Node ${version}`, async () => {
      const node = await tools.node('linux-x64', version)
      const folder = check.project(`npm node ${version}`)
      await check.npmInstall(folder, 'bitnet-ts')
      check.isOfThisCheckout(folder)
      await check.ranCommand(folder, [node, 'node_modules/.bin/bitnet'])
      await check.ran(folder, [node, 'run.mjs'])
      // The second time weights are mapped from the image that the first one kept.
      return check.ran(folder, [node, 'run.mjs'])
    })
  }
  const node = await tools.node('linux-x64', VERSIONS.node.at(-1))
  await check.row('npm --ignore-scripts', async () => {
    const folder = check.project('npm ignore scripts')
    await check.npmInstall(folder, '--ignore-scripts', 'bitnet-ts')
    return check.ran(folder, [node, 'run.mjs'])
  })
  await check.row('npm --global', async () => {
    const folder = check.project('npm global')
    await check.npmInstall(folder, '--global', '--prefix', join(folder, 'global'), 'bitnet-ts')
    return check.ranCommand(folder, [node, join(folder, 'global/bin/bitnet')])
  })
  await check.row('npm --omit=optional, then the command that it is told', async () => {
    const folder = check.project('npm omit optional')
    await check.npmInstall(folder, '--omit=optional', 'bitnet-ts')
    const says = /^bitnet-ts runs without .* is not installed: npm install (--save-optional \S+)$/
    const { stderr } = await check.ran(folder, [node, 'run.mjs'], { backend: 'wasm', says })
    await check.npmInstall(folder, ...says.exec(stderr)[1].split(' '))
    return check.ran(folder, [node, 'run.mjs'])
  })
}

async function checkManagers(check) {
  const { tools, url } = check
  const node = await tools.node('linux-x64', VERSIONS.node.at(-1))
  const from = (name) => tools.package(name, VERSIONS[name])
  await check.row('pnpm', async () => {
    const pnpm = JSON.parse(readFileSync(join(await from('pnpm'), 'package.json'), 'utf8'))
    const script = join(await from('pnpm'), pnpm.bin.pnpm)
    const store = `--store-dir=${join(check.work, 'pnpm-store')}`
    const folder = check.project('pnpm')
    await tell([node, script, 'add', 'bitnet-ts', store, '--config.minimum-release-age=0'], {
      cwd: folder,
      env: check.env,
    })
    return check.ran(folder, [node, 'run.mjs'])
  })
  await check.row('yarn 1', async () => {
    const folder = check.project('yarn 1', { '.yarnrc': `registry "${url}"\n` })
    const cache = join(check.work, 'yarn-cache')
    const script = join(await from('yarn'), 'bin/yarn.js')
    await tell([node, script, 'add', 'bitnet-ts', '--cache-folder', cache], { cwd: folder })
    return check.ran(folder, [node, 'run.mjs'])
  })
  for (const linker of ['node-modules', 'pnp']) {
    await check.row(`yarn 4, ${linker}`, async () => {
      const settings = {
        npmRegistryServer: url,
        unsafeHttpWhitelist: ['127.0.0.1'],
        nodeLinker: linker,
        enableTelemetry: false,
        enableImmutableInstalls: false,
        enableGlobalCache: false,
        // What it remembers of a registry has the address that an earlier one had.
        globalFolder: join(check.work, 'yarn-global'),
        npmMinimalAgeGate: 0,
      }
      const files = { '.yarnrc.yml': JSON.stringify(settings), 'yarn.lock': '' }
      const folder = check.project(`yarn 4 ${linker}`, files)
      const yarn = [node, join(await from('@yarnpkg/cli-dist'), 'bin/yarn.js')]
      await tell([...yarn, 'add', 'bitnet-ts'], { cwd: folder })
      return check.ran(folder, [...yarn, 'node', 'run.mjs'])
    })
  }
  await check.row('bun, run by Node and by Bun', async () => {
    const bun = join(await tools.package('@oven/bun-linux-x64', VERSIONS.bun), 'bin/bun')
    const folder = check.project('bun', { 'bunfig.toml': `[install]\nregistry = "${url}"\n` })
    const env = { BUN_INSTALL_CACHE_DIR: join(check.work, 'bun-cache') }
    await tell([bun, 'add', 'bitnet-ts'], { cwd: folder, env })
    await check.ran(folder, [node, 'run.mjs'])
    return check.ran(folder, [bun, 'run.mjs'])
  })
}

/** A project as npm lays it for another system. */
async function foreignProject(check, name, os, cpu, libc = []) {
  const folder = check.project(name)
  await check.npmInstall(folder, `--os=${os}`, `--cpu=${cpu}`, ...libc, 'bitnet-ts')
  return folder
}

async function checkForeign(check) {
  const { tools } = check
  await check.row('Linux on arm64, in qemu-aarch64-static', async () => {
    if (!(await has('qemu-aarch64-static'))) return 'Debian: qemu-user-static'
    const libraries = '/usr/aarch64-linux-gnu'
    if (!readdirOrNothing(`${libraries}/lib`).includes('libstdc++.so.6')) {
      return 'Debian: libc6-arm64-cross libstdc++6-arm64-cross'
    }
    const node = await tools.node('linux-arm64', VERSIONS.node.at(-1))
    const folder = await foreignProject(check, 'arm64', 'linux', 'arm64', ['--libc=glibc'])
    return check.ran(folder, ['qemu-aarch64-static', '-L', libraries, node, 'run.mjs'])
  })
  await check.row('musl on x64, in Bun', async () => {
    const bun = await bunOnMusl(tools, VERSIONS.bun, join(check.work, 'musl-library'))
    if (typeof bun === 'string') return bun
    const folder = await foreignProject(check, 'musl', 'linux', 'x64', ['--libc=musl'])
    return check.ran(folder, [bun.command, 'run.mjs'], { env: bun.env })
  })
  await check.row('Windows on x64, in Wine', async () => {
    if (!(await has('wine'))) return 'Debian: wine wine64'
    const node = await tools.node('win-x64', VERSIONS.nodeOnWine)
    const folder = await foreignProject(check, 'windows', 'win32', 'x64')
    const env = {
      WINEPREFIX: join(check.work, 'wine'),
      WINEDEBUG: '-all',
      NODE_SKIP_PLATFORM_CHECK: '1',
    }
    // Through a shell: Node for Windows takes files for its streams in Wine, and no pipes.
    const command = [
      'sh',
      '-c',
      'wine "$0" run.mjs </dev/null >out.txt 2>err.txt || (cat out.txt err.txt; exit 1)',
      node,
    ]
    await check.ran(folder, command, { env })
    return check.ran(folder, command, { env })
  })
}

function readdirOrNothing(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/**
 * @param release the folder of the packages
 * @param npm runs npm with arguments in a folder
 * @param only of the names of the runs
 * @returns the exit code
 */
export async function checkPackages(release, npm, only) {
  const tarballs = readdirOrNothing(release).filter((file) => file.endsWith('.tgz'))
  if (tarballs.length === 0) throw new Error('Expected packages in release/: npm run package')
  for (const line of readFileSync(join(release, 'SHA256SUMS'), 'utf8').trim().split('\n')) {
    const [sum, file] = line.split('  ')
    if (sha256(join(release, file)) !== sum) throw new Error(`${file} is not what was packed.`)
  }
  const home = join(tmpdir(), 'bitnet-package-check')
  mkdirSync(home, { recursive: true })
  const tools = new Tools(join(home, 'tools'), npm)
  const work = mkdtempSync(join(home, 'work-'))
  const node = await tools.node('linux-x64', VERSIONS.node.at(-1))
  const script = join(await tools.package('verdaccio', VERSIONS.verdaccio), 'bin/verdaccio')
  const upstream = (await npm(['config', 'get', 'registry'], home)).trim()
  const registry = await startRegistry({ node, script, folder: join(work, 'registry'), upstream })
  try {
    const host = registry.url.replace('http:', '')
    for (const tarball of tarballs) {
      const token = `--${host}:_authToken=anyone`
      const where = ['--registry', registry.url, '--provenance=false', '--ignore-scripts']
      await npm(['publish', join(release, tarball), ...where, token], work)
    }
    const env = { npm_config_cache: join(work, 'npm-cache'), npm_config_update_notifier: 'false' }
    const npmScript = process.env.npm_execpath
    const command = npmScript ? [process.execPath, npmScript] : ['npm']
    const check = new Check({ work, url: registry.url, env, tools, npm: command, only })
    await checkHost(check)
    await checkManagers(check)
    await checkForeign(check)
    const failed = check.rows.filter((row) => row.failed)
    const skipped = check.rows.filter((row) => row.skipped)
    const passed = check.rows.length - failed.length - skipped.length
    console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`)
    return failed.length > 0 ? 1 : 0
  } finally {
    await registry.stop()
    rmSync(work, { recursive: true, force: true })
  }
}
