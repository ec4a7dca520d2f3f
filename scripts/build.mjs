/**
 * Builds the package: TypeScript to dist/, and the native addon for this machine.
 *
 *   node scripts/build.mjs              both
 *   node scripts/build.mjs --no-native  TypeScript only
 *
 * Runs on `npm install` in a checkout. If the addon cannot be built the package still works, on the
 * slow reference backend, and this script says so; it fails only when TypeScript does.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative, buildWasm } from './build-native.mjs'
import { buildShaders } from './build-shaders.mjs'
import { hostTarget } from './toolchain.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

/** Of this process alone: several may build at once. */
const work = `${root}/dist.next-${process.pid}`
const next = `${work}/dist`

function buildTypeScript() {
  const tsc = require.resolve('typescript/bin/tsc')
  const args = [tsc, '-p', `${root}/tsconfig.build.json`, '--outDir', next]
  if (spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0) {
    console.error('TypeScript did not compile; dist/ is as it was.')
    process.exit(1)
  }
  chmodSync(`${next}/cli/main.js`, 0o755)
}

/** What was made takes the place of dist/ at once and whole: who runs it meanwhile misses no file. */
function replaceDist() {
  const dist = `${root}/dist`
  const moved = (from, to) => {
    try {
      renameSync(from, to)
      return true
    } catch (error) {
      if (['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EPERM'].includes(error.code)) return false
      throw error
    }
  }
  for (let turn = 0; !moved(next, dist); turn++) {
    if (turn === 100) throw new Error(`${dist} cannot be replaced.`)
    moved(dist, `${work}/last-${turn}`)
  }
}

/** Which source was built, for `bitnet --version`; absent outside of a checkout. */
function writeBuildFacts() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  const { status, stdout } = git('log', '-1', '--format=%h %cs')
  if (status !== 0) return
  const [commit, day] = stdout.trim().split(' ')
  const modified = git('status', '--porcelain', '--untracked-files=no').stdout !== ''
  // The commit's day and not today's: the same source gives the same bytes.
  writeFileSync(`${next}/build.json`, `${JSON.stringify({ commit, day, modified })}\n`)
}

/** What tsc leaves behind: the WebAssembly modules, shaders, workers in plain JavaScript, the server's page. */
function copyWorkers() {
  for (const file of readdirSync(`${root}/src`, { recursive: true })) {
    if (!/\.(wasm|js|html)$/.test(file)) continue
    mkdirSync(dirname(`${next}/${file}`), { recursive: true })
    copyFileSync(`${root}/src/${file}`, `${next}/${file}`)
  }
}

/** Builds one binary; a failure is loud, but the package goes on without it. */
async function attempt(what, build, without) {
  try {
    const compiler = await build()
    console.error(`${what}: ${compiler ? `built with ${compiler}` : 'up to date'}`)
  } catch (error) {
    const line = '!'.repeat(78)
    console.error(`${line}\n${what.toUpperCase()}: NOT BUILT. ${error.message}\n${without}
Try again with: npm run build\n${line}`)
  }
}

process.on('exit', () => rmSync(work, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
buildTypeScript()
writeBuildFacts()
buildShaders()
if (!process.argv.includes('--no-native')) {
  const target = hostTarget()
  await attempt(
    `native addon for ${target.name}`,
    () => buildNative(target),
    'bitnet-ts works without it, but more slowly: on WebAssembly, or else on TypeScript alone.',
  )
  await attempt(
    'WebAssembly modules',
    buildWasm,
    'bitnet-ts works without them wherever the native addon does.',
  )
}
// Without a build, what an earlier one left.
copyWorkers()
replaceDist()
