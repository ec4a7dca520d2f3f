/**
 * Prints the lines of code per folder and fails over a budget or over the length of a file. Raising a
 * number here is a commit of its own, with a reason.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Lines without tests, of TypeScript and C, comments included. Sixteen operations with a reference and up
 * to eight variants are a quarter of src.
 */
const BUDGET = { src: 41_000, native: 2_300 }
/** Above this a file has grown two purposes. */
const FILE_LIMIT = 400

const tracked = execFileSync('git', ['ls-files', 'src', 'native', 'test', 'scripts'], {
  cwd: root,
  encoding: 'utf8',
})
const totals = {}
const long = []
for (const file of tracked.trim().split('\n')) {
  if (!/\.(ts|mjs|c|h)$/.test(file)) continue
  const lines = readFileSync(`${root}/${file}`, 'utf8').split('\n').length - 1
  if (lines > FILE_LIMIT) long.push(`${file}: ${lines} lines, more than ${FILE_LIMIT}`)
  const isTest = /\.test\.ts$|^native\/test\//.test(file)
  const folder = isTest ? 'tests' : file.split('/').slice(0, 2).join('/')
  totals[folder] = (totals[folder] ?? 0) + lines
}

const problems = [...long]
for (const [folder, limit] of Object.entries(BUDGET)) {
  const own = Object.entries(totals).filter(
    ([name]) => name === folder || name.startsWith(`${folder}/`),
  )
  const sum = own.reduce((total, [, lines]) => total + lines, 0)
  console.log(`${folder}: ${sum} of ${limit} lines`)
  for (const [name, lines] of own.sort((a, b) => b[1] - a[1])) console.log(`  ${name}: ${lines}`)
  if (sum > limit) problems.push(`${folder}: ${sum} lines, more than ${limit}`)
}
console.log(`tests: ${totals.tests ?? 0} lines`)
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
