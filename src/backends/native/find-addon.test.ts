/**
 * Where the addon is looked for, and the command that brings it where there is none: made-up folders of
 * every package manager.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ROOT } from '../../../test/support/built-program.ts'
import { findAddon, PACKAGED, thisPlace } from './find-addon.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'find-addon-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function files(texts: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}

const manifest = (version: string) =>
  JSON.stringify({ name: 'bitnet-ts', version, main: 'bitnet.node' })
const PACKAGE = 'node_modules/bitnet-ts'
const NATIVE = 'node_modules/@bitnet-ts/native-linux-x64'
const find = (root = PACKAGE, platform = 'linux-x64') =>
  findAddon({ root: join(folder, root), platform })

describe('the package of the platform', () => {
  test('is found beside bitnet-ts', async () => {
    await files({
      [`${PACKAGE}/package.json`]: manifest('1.2.3'),
      [`${NATIVE}/package.json`]: manifest('1.2.3'),
      [`${NATIVE}/bitnet.node`]: '',
    })
    expect(find()).toBe(join(folder, NATIVE, 'bitnet.node'))
  })

  test('is refused if it is of another version, whose commands may differ', async () => {
    await files({
      'package.json': '{}',
      [`${PACKAGE}/package.json`]: manifest('1.2.3'),
      [`${NATIVE}/package.json`]: manifest('1.2.2'),
      [`${NATIVE}/bitnet.node`]: '',
    })
    expect(find).toThrow(
      'The package @bitnet-ts/native-linux-x64 is of version 1.2.2, bitnet-ts of 1.2.3: ' +
        'npm install --save-optional @bitnet-ts/native-linux-x64@1.2.3',
    )
  })

  test.each([
    ['package.json', PACKAGE, 'npm install --save-optional'],
    ['yarn.lock', PACKAGE, 'yarn add --optional'],
    ['bun.lock', PACKAGE, 'bun add --optional'],
    ['pnpm-lock.yaml', `node_modules/.pnpm/bitnet-ts@1.2.3/${PACKAGE}`, 'pnpm add --save-optional'],
    ['unrelated', PACKAGE, 'npm install --global'],
  ])('where it is missing beside %s in %s: %s', async (mark, root, command) => {
    await files({ [mark]: '', [`${root}/package.json`]: manifest('1.2.3') })
    expect(() => find(root)).toThrow(
      `The package @bitnet-ts/native-linux-x64 is not installed: ${command} ` +
        '@bitnet-ts/native-linux-x64@1.2.3',
    )
  })

  test('is not promised for a platform that has none', async () => {
    await files({ [`${PACKAGE}/package.json`]: manifest('1.2.3') })
    expect(() => find(PACKAGE, 'freebsd-x64')).toThrow('There is no package for freebsd-x64.')
  })

  test('is there for the targets of the scripts and for no others', async () => {
    const { TARGETS } = await import(`${ROOT}/scripts/toolchain.mjs`)
    const systems = ['linux', 'darwin', 'win32', 'freebsd', 'aix']
    const names = systems.flatMap((system) =>
      ['x64', 'arm64', 'arm', 'ia32'].flatMap((arch) =>
        ['', '-musl'].map((libc) => `${system}-${arch}${libc}`),
      ),
    )
    expect(names.filter((name) => PACKAGED.test(name)).sort()).toEqual([...TARGETS].sort())
  })
})

describe('a checkout', () => {
  test('takes what it has built, whatever is installed', async () => {
    const built = 'native/build/linux-x64/bitnet.node'
    await files({
      'package.json': manifest('1.2.3'),
      'native/addon.c': '',
      [built]: '',
      [`${NATIVE}/package.json`]: manifest('1.2.3'),
      [`${NATIVE}/bitnet.node`]: '',
    })
    expect(find('.')).toBe(join(folder, built))
  })

  test('says how to build what is not there', async () => {
    await files({ 'package.json': manifest('1.2.3'), 'native/addon.c': '' })
    expect(() => find('.')).toThrow(/addon is not built in .*linux-x64: npm run build$/)
  })

  test('this one is such a place', () => {
    expect(`${thisPlace().root}/`).toMatch(new RegExp(`^${ROOT.replace(/\W/g, '\\$&')}`))
    expect(thisPlace().platform).toMatch(new RegExp(`^${process.platform}-${process.arch}`))
  })
})
