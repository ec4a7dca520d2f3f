/**
 * `bitnet --version`: what runs here, for reports of faults.
 */
import { readFileSync } from 'node:fs'
import { KINDS } from '../backends/select.ts'
import { messageOf } from '../checks.ts'
import { parseObject } from '../formats/json-text.ts'
import { formatFacts } from './console/table.ts'

/** The version alone on the first line, for scripts; then the build, Node, and the kernels. */
export async function versionLines(width?: number): Promise<string[]> {
  // Beside cli/ in dist/; sources that are run as they are have no build.
  const { commit, day, modified } = readFacts('../build.json')
  const build = commit === undefined ? undefined : `commit ${commit} of ${day}`
  return [
    packageVersion(),
    ...formatFacts(
      [
        ['build', build && build + (modified === true ? ', modified' : '')],
        ['node', `${process.version} on ${process.platform} ${process.arch}`],
        ['native', await kernelsOf('native')],
        ['wasm', await kernelsOf('wasm')],
      ],
      { width },
    ),
  ]
}

export function packageVersion(): string {
  // Two folders up both from src/cli/ and from dist/cli/.
  return String(readFacts('../../package.json')['version'])
}

/** The variants that run here, fastest first, or why none does. */
async function kernelsOf(name: 'native' | 'wasm'): Promise<string> {
  try {
    const variants = await KINDS[name].variants()
    const here = variants.filter(({ supported }) => supported).map(({ isa }) => isa)
    return here.length > 0 ? here.join(', ') : 'no kernel runs here'
  } catch (error) {
    return `none: ${messageOf(error)}`
  }
}

function readFacts(path: string): Readonly<Record<string, unknown>> {
  try {
    return parseObject(readFileSync(new URL(path, import.meta.url), 'utf8')) ?? {}
  } catch {
    return {}
  }
}
