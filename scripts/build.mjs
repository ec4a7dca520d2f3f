/**
 * Builds the package: TypeScript to dist/, and the native addon for this machine.
 *
 *   node scripts/build.mjs              both
 *   node scripts/build.mjs --no-native  TypeScript only
 *
 * Runs on `npm install` in a checkout. If the addon cannot be built the package still works, on the
 * slow reference backend, and this script says so; it fails only when TypeScript does.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { buildNative, hostTarget } from './build-native.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

function buildTypeScript() {
  rmSync(`${root}/dist`, { recursive: true, force: true })
  const tsc = require.resolve('typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', `${root}/tsconfig.build.json`], { stdio: 'inherit' })
  const bin = `${root}/dist/cli/main.js`
  if (existsSync(bin)) chmodSync(bin, 0o755)
}

buildTypeScript()
if (!process.argv.includes('--no-native')) {
  const target = hostTarget()
  try {
    const built = await buildNative(target)
    console.error(built ? `native addon: built for ${target.name}` : 'native addon: up to date')
  } catch (error) {
    const line = '!'.repeat(78)
    console.error(`${line}
THE NATIVE ADDON WAS NOT BUILT for ${target.name}: ${error.message}
bitnet-ts works without it, but on the reference backend, about 50 times slower.
Try again with: npm run build
${line}`)
  }
}
