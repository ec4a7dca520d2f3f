/**
 * Makes what a publisher uploads, in release/: the main package, one package with the native addon for
 * each platform, SHA256SUMS and a bill of materials. Nothing is published.
 *
 *   npm run package                        for all platforms, from any host
 *   npm run package -- --target linux-x64  for some; the main package then asks for these alone
 *   npm run package -- --check             installs what is there from a local registry, and runs it;
 *                                          --only REGEXP: some of it
 */
import { execFile, execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { buildNative, buildWasm } from './build-native.mjs'
import {
  isPlaceholder,
  mainManifest,
  pageForRegistry,
  platformManifest,
  platformReadme,
} from './package/manifests.mjs'
import { billOfMaterials, sha256 } from './package/sbom.mjs'
import { TARGETS, targetNamed, zig } from './toolchain.mjs'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const RELEASE = join(root, 'release')
const say = (line) => console.error(line)

/** npm, as the one that runs this script where that is npm. */
async function npm(args, cwd) {
  const script = process.env.npm_execpath ?? ''
  const isNpm = /npm-cli\.[cm]?js$/.test(script)
  const [program, first] = isNpm ? [process.execPath, [script]] : ['npm', []]
  const shell = !isNpm && process.platform === 'win32'
  const options = { cwd, shell, maxBuffer: 64 << 20 }
  const { stdout } = await run(program, [...first, ...args], options)
  return stdout
}

/** Packs `folder` with `manifest`. @returns { name, version, license, tarball } */
async function pack(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', RELEASE]
  const said = JSON.parse(await npm(args, folder))
  // A list up to npm 11, an object by names after it.
  const [{ filename }] = Array.isArray(said) ? said : Object.values(said)
  const { name, version, license } = manifest
  // Scopes are a folder in what some versions of npm say.
  const tarball = join(RELEASE, basename(filename.replace(/^@([^/]+)\//, '$1-')))
  return { name, version, license, tarball }
}

async function packMain(checkout, targets, folder) {
  const isFolder = (path) => statSync(join(root, path)).isDirectory()
  for (const file of checkout.files) {
    cpSync(join(root, file), join(folder, file), { recursive: true })
    if (!/^README.*\.md$/.test(file)) continue
    const page = readFileSync(join(root, file), 'utf8')
    writeFileSync(join(folder, file), pageForRegistry(page, checkout, isFolder))
  }
  return pack(folder, mainManifest(checkout, targets))
}

async function packPlatform(checkout, target, folder) {
  cpSync(join(root, `native/build/${target.name}/bitnet.node`), join(folder, 'bitnet.node'))
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  writeFileSync(join(folder, 'README.md'), platformReadme(target))
  return pack(folder, platformManifest(checkout, target))
}

async function makePackages(names) {
  const checkout = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const targets = names.map(targetNamed)
  for (const target of targets) {
    const compiler = await buildNative(target)
    say(`addon for ${target.name}: ${compiler ? `built with ${compiler}` : 'up to date'}`)
  }
  await buildWasm()
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--no-native'])
  rmSync(RELEASE, { recursive: true, force: true })
  mkdirSync(RELEASE)
  const stage = mkdtempSync(join(tmpdir(), 'bitnet-package-'))
  const folder = (name) => {
    mkdirSync(join(stage, name))
    return join(stage, name)
  }
  try {
    const main = await packMain(checkout, targets, folder('main'))
    const platforms = []
    for (const target of targets) {
      platforms.push(await packPlatform(checkout, target, folder(target.name)))
    }
    await writeBill(checkout, main, platforms)
    const files = readdirSync(RELEASE).sort()
    const sums = files.map((file) => `${sha256(join(RELEASE, file))}  ${file}\n`)
    writeFileSync(join(RELEASE, 'SHA256SUMS'), sums.join(''))
    for (const file of files) say(`release/${file}: ${statSync(join(RELEASE, file)).size} bytes`)
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
  if (isPlaceholder(checkout)) {
    say(`Not for publishing yet: fill in repository in package.json (now ${checkout.repository}).`)
  }
}

async function writeBill({ name, version }, main, platforms) {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only']
  const fromNpm = JSON.parse(await npm(args, root))
  const { stdout: date } = await run('git', ['log', '-1', '--format=%cI'], { cwd: root })
  const models = readdirSync(join(root, 'models')).filter((file) => file.endsWith('.gguf'))
  const bill = billOfMaterials(fromNpm, {
    date: new Date(date.trim()).toISOString(),
    main,
    platforms,
    compiler: zig().name,
    models: models.map((file) => join(root, 'models', file)),
  })
  const file = join(RELEASE, `${name}-${version}.cdx.json`)
  writeFileSync(file, `${JSON.stringify(bill, undefined, 2)}\n`)
}

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    check: { type: 'boolean' },
    only: { type: 'string', default: '' },
  },
})
if (values.check) {
  const { checkPackages } = await import('./package/check.mjs')
  process.exitCode = await checkPackages(RELEASE, npm, new RegExp(values.only, 'i'))
} else {
  await makePackages(values.target ?? TARGETS)
}
