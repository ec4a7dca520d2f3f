/**
 * The pages for people say nothing that the program does not know: every command with its flags, every name
 * that is imported from the package, every link, and what the examples of quantisation print.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../src/cli/program.ts'
import * as library from '../src/index.ts'
import { ROOT } from './support/built-program.ts'
import { mockSurroundings } from './support/mock-language-model.ts'

const pages = [
  'README.md',
  'README.ja.md',
  'models/README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
]
const texts = new Map(pages.map((page) => [page, readFileSync(join(ROOT, page), 'utf8')]))

async function helpOf(...command: string[]): Promise<string> {
  const mock = mockSurroundings()
  expect(await runCli([...command, '--help'], mock)).toBe(0)
  return mock.out()
}

/** Command lines in blocks and in inline code, without what follows a pipe, a comment or two spaces. */
function commandLines(text: string): string[] {
  const code = [...text.matchAll(/```\w*\n([\s\S]*?)```|`([^`\n]+)`/g)]
  return code
    .flatMap(([, block, inline]) => (block ?? inline).split('\n'))
    .flatMap((line) => /(?:^|[;&|$(]\s*)((?:npx )?bitnet [a-z].*)$/.exec(line.trim())?.[1] ?? [])
    .map((line) => line.split(/ {2,}| (?:&&|[|>#]) |\)$/)[0])
}

/** Headings as GitHub names them. */
function anchorsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading.toLowerCase())
  return headings.map((heading) =>
    heading.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-'),
  )
}

describe('commands', () => {
  let commands: string[]
  const flags = new Map<string, Set<string>>()

  beforeAll(async () => {
    const help = await helpOf()
    commands = [...help.matchAll(/^ {2}([a-z]+)(?: .*)?$/gm)].map(([, name]) => name)
    for (const command of commands.filter((name) => name !== 'help')) {
      const help = await helpOf(command)
      const [, below = ''] = help.split('\nCommands:\n')
      const parts = [...below.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name)
      const all = [help]
      for (const part of parts.filter((name) => name !== 'help'))
        all.push(await helpOf(command, part))
      const own = all.join('\n').matchAll(/(?<![\w-])(-[a-zA-Z]|--[a-z][a-z0-9-]*)/g)
      flags.set(command, new Set([...own].map(([, flag]) => flag)))
    }
  })

  test.each([...texts])('in %s are there, with all their flags', (_, text) => {
    const unknown = commandLines(text).flatMap((line) => {
      const [command, ...rest] = line.replace(/^npx /, '').split(/\s+/).slice(1)
      const own = flags.get(command)
      if (own === undefined) return [`${line}: no command ${command}`]
      const given = rest.map((word) => /^(-[a-zA-Z]|--[a-z][a-z0-9-]*)(?:$|[=,])/.exec(word)?.[1])
      return given.flatMap((flag) => (flag && !own.has(flag) ? [`${line}: no flag ${flag}`] : []))
    })
    expect(unknown).toEqual([])
  })
})

test.each([...texts])('every name that %s imports is exported', (_, text) => {
  const imports = [...text.matchAll(/import \{([^}]*)\} from 'bitnet-ts'/g)]
  const names = imports.flatMap(([, list]) => list.split(',').map((name) => name.trim()))
  const missing = names.filter((name) => name && !name.startsWith('type ') && !(name in library))
  expect(missing).toEqual([])
})

test.each([...texts])('every link of %s leads somewhere', (page, text) => {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link)
  const broken = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false
    const [path, anchor] = link.split('#')
    const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path)
    if (!existsSync(file)) return true
    return (
      anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).includes(decodeURI(anchor))
    )
  })
  expect(broken).toEqual([])
})

describe('examples of quantisation', () => {
  const blocks = (texts.get('docs/ja/README.md') ?? '').matchAll(/```js\n([\s\S]*?)```/g)
  const example = [...blocks].map(([, block]) => block).find((b) => b.includes('absmean'))

  test('print what stands beside them', async () => {
    const lines: string[] = []
    const body = (example ?? '').replace(/import \{(.*)\} from 'bitnet-ts'/, 'const {$1} = library')
    const print = (...values: unknown[]) =>
      lines.push(values.map((v) => JSON.stringify(v)).join(' '))
    new Function('library', 'console', body)(library, { log: print })
    expect(lines[0]).toMatch(/^\[1,0,-1,1\] 0\.637/)
    expect(lines[1]).toMatch(/^\[64,-127,32\] 0\.00787/)
    expect(lines[2]).toBe('64')
  })
})
