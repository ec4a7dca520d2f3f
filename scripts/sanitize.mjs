/**
 * The native code under clang's sanitizers, over the conformance cases: addresses by every variant that this
 * machine runs, and in the addon inside of Node; undefined behaviour by the portable one; data races in pools
 * of 1 to 7 threads.
 *
 *   npm run sanitize
 *   npm run sanitize -- --quick                    a tenth of the cases
 *   npm run sanitize -- --only address,undefined   some of address, addon, undefined, thread
 *
 * Needs clang with its libraries for sanitizers: on Debian `apt install clang libclang-rt-dev`. Takes minutes.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { buildChecked } from './build-native.mjs'
import { bundled } from './bundle.mjs'
import { systemCompilers } from './toolchain.mjs'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'native/build/sanitize')
const PARTS = ['address', 'addon', 'undefined', 'thread']
const POOLS = [1, 2, 3, 4, 5, 6, 7]
const OUTPUT = { maxBuffer: 1 << 28 }

/** clang, with a program that shows that its sanitizers link. */
async function checkedClang() {
  process.env.CC ??= 'clang'
  const compilers = await systemCompilers()
  const clang = compilers.find(({ name }) => /clang/.test(name))
  if (process.platform !== 'linux' || clang === undefined) {
    throw new Error(
      'Expected Linux with clang (or CC naming one): apt install clang libclang-rt-dev',
    )
  }
  const source = join(folder, 'empty.c')
  writeFileSync(source, 'int main(void) { return 0; }\n')
  for (const checks of ['address', 'undefined', 'thread']) {
    const args = [`-fsanitize=${checks}`, source, '-o', join(folder, 'empty')]
    await run(clang.command[0], args).catch(() => {
      throw new Error(
        `Expected ${clang.name} to bring the libraries of -fsanitize=${checks}, but it does not link with ` +
          'them: apt install libclang-rt-dev (or the package of that version).',
      )
    })
  }
  return clang
}

/** Runs one program; its failure is told with what it said, and counted. */
let failures = 0
async function check(title, program, args, env = {}) {
  const start = performance.now()
  const options = { ...OUTPUT, cwd: root, env: { ...process.env, ...env } }
  const result = await run(program, args, options).catch((error) => error)
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  const isClean = !(result instanceof Error)
  if (!isClean) {
    failures++
    console.log(`${title}: FAILED\n${result.stdout ?? ''}${result.stderr ?? result.message}`)
    return
  }
  const lines = result.stdout.trim().split('\n')
  const variants = lines.filter((line) => line.endsWith(': runs')).map((line) => line.slice(0, -6))
  const what = [lines.at(-1), ...variants].join(', ')
  console.log(`${title}: no report (${what}; ${seconds} s)`)
}

function chosen() {
  const options = { quick: { type: 'boolean' }, only: { type: 'string' } }
  const { quick, only = PARTS.join() } = parseArgs({ options }).values
  const parts = only.split(',')
  if (parts.some((part) => !PARTS.includes(part))) {
    throw new Error(`Expected --only to be some of ${PARTS.join(', ')}, got "${only}".`)
  }
  return { step: quick ? '10' : '1', parts }
}

async function main() {
  const { step, parts } = chosen()
  mkdirSync(folder, { recursive: true })
  const clang = await checkedClang()
  console.log(`compiling with ${clang.name}`)
  const build = (checks, own) => buildChecked(clang, `sanitize/${checks}`, { checks, ...own })
  // Undefined behaviour and races are the same in all variants, and cost minutes of compiling in each.
  const portable = { variants: ['portable'], cpu: 'test/fixtures/operation/cpu.c' }
  const cases = join(folder, 'cases')
  if (parts.join() !== 'addon') {
    await check('cases written', process.execPath, [
      await bundled('test/sanitize/write-cases.ts', join(folder, 'write-cases.mjs')),
      ...[cases, step],
    ])
  }
  const replay = (title, { replay }, count) =>
    check(`${title}, ${count} ${count === 1 ? 'thread' : 'threads'}`, replay, [
      ...['--threads', String(count), cases],
    ])
  const runs = {
    async address() {
      const program = await build('address', { hasAddon: true })
      for (const count of [1, 3]) await replay('addresses', program, count)
    },
    async addon() {
      const { addon } = await build('address', { hasAddon: true })
      await checkAddon(clang, addon)
    },
    async undefined() {
      await replay('undefined behaviour', await build('undefined', portable), 2)
    },
    async thread() {
      const program = await build('thread', portable)
      for (const count of POOLS) await replay('data races', program, count)
    },
  }
  for (const part of parts) await runs[part]()
  if (failures > 0) throw new Error(`${failures} runs have reports`)
}

/** Node itself is no program of theirs: what it holds to its end is no leak. */
async function checkAddon(clang, addon) {
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const { stdout } = await run(clang.command[0], [`-print-file-name=libclang_rt.asan-${arch}.so`])
  const outfile = join(folder, 'run-addon.mjs')
  await check(
    'the addon in Node',
    process.execPath,
    [await bundled('test/sanitize/run-addon.ts', outfile, { addon }), root],
    { LD_PRELOAD: stdout.trim(), ASAN_OPTIONS: 'detect_leaks=0' },
  )
}

await main().catch((error) => {
  console.error(`sanitize: ${error.message}`)
  process.exitCode = 1
})
