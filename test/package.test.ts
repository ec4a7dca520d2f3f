/**
 * What goes into the packages, without building any: their package.json, the links of the pages, the bill
 * of materials. `npm run package -- --check` installs and runs the packages themselves.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { PACKAGED } from '../src/backends/native/find-addon.ts'
import { ROOT } from './support/built-program.ts'

const script = (name: string) => import(pathToFileURL(join(ROOT, 'scripts', name)).href)
const { mainManifest, pageForRegistry, platformManifest, platformPackage, publisherFields } =
  await script('package/manifests.mjs')
const { billOfMaterials } = await script('package/sbom.mjs')
const { TARGETS, targetNamed } = await script('toolchain.mjs')

const checkout = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const targets = TARGETS.map(targetNamed)

describe('the main package', () => {
  const manifest = mainManifest(checkout, targets)

  test('asks for every platform, at its own version', () => {
    const names = Object.keys(manifest.optionalDependencies)
    expect(names).toEqual(targets.map(platformPackage))
    expect(names.every((name) => PACKAGED.test(name.replace('@bitnet-ts/native-', '')))).toBe(true)
    expect(new Set(Object.values(manifest.optionalDependencies))).toEqual(
      new Set([checkout.version]),
    )
  })

  test('keeps what an installed package needs, and nothing of the checkout', () => {
    for (const field of ['name', 'version', 'bin', 'exports', 'files', 'dependencies', 'engines']) {
      expect(manifest[field]).toEqual(checkout[field])
    }
    expect(manifest).not.toHaveProperty('scripts')
    expect(manifest).not.toHaveProperty('devDependencies')
  })

  test('has its addresses from one field, which cannot be written otherwise', () => {
    expect(publisherFields('github:someone/some.name')).toEqual({
      homepage: 'https://github.com/someone/some.name#readme',
      bugs: { url: 'https://github.com/someone/some.name/issues' },
      repository: { type: 'git', url: 'git+https://github.com/someone/some.name.git' },
    })
    for (const wrong of ['someone/name', 'https://github.com/a/b', 'github:a', undefined]) {
      expect(() => publisherFields(wrong)).toThrow('as github:owner/name')
    }
    for (const field of ['bugs', 'homepage']) expect(checkout).not.toHaveProperty(field)
  })
})

test.each([
  ['linux-x64', { os: ['linux'], cpu: ['x64'], libc: ['glibc'] }],
  ['linux-arm64-musl', { os: ['linux'], cpu: ['arm64'], libc: ['musl'] }],
  ['win32-arm64', { os: ['win32'], cpu: ['arm64'] }],
])('the package for %s is installed there alone', (name, where) => {
  const manifest = platformManifest(checkout, targetNamed(name))
  expect(manifest).toMatchObject({ ...where, version: checkout.version, main: 'bitnet.node' })
  expect('libc' in manifest).toBe('libc' in where)
})

test('the lock file has an entry for every platform, as npm ci asks, and no address', () => {
  const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`${path}/node_modules/${name}` in packages || `node_modules/${name}` in packages),
    ),
  )
  expect(missing).toEqual([])
  expect(text).not.toContain('"resolved"')
})

describe('a page for a registry', () => {
  const facts = { repository: 'github:me/it', version: '1.2.3' }
  const page = (text: string) => pageForRegistry(text, facts, (path: string) => path === 'examples')

  test.each([
    ['[a](docs/a.md)', '[a](https://github.com/me/it/blob/v1.2.3/docs/a.md)'],
    ['[a](./docs/a.md#part)', '[a](https://github.com/me/it/blob/v1.2.3/docs/a.md#part)'],
    ['[e](examples)', '[e](https://github.com/me/it/tree/v1.2.3/examples)'],
    ['![p](p.png)', '![p](https://github.com/me/it/raw/v1.2.3/p.png)'],
    ['<img src="p.svg">', '<img src="https://github.com/me/it/raw/v1.2.3/p.svg">'],
    ['<a href="docs/a.md">', '<a href="https://github.com/me/it/blob/v1.2.3/docs/a.md">'],
    ['[w](https://a.example/b) [s](#part)', '[w](https://a.example/b) [s](#part)'],
  ])('%s', (text, expected) => expect(page(text)).toBe(expected))

  test.each(['README.md', 'README.ja.md'])('%s: its links lead to files that are there', (file) => {
    const isFolder = (path: string) => {
      expect(existsSync(join(ROOT, path)), path).toBe(true)
      return statSync(join(ROOT, path)).isDirectory()
    }
    const text = pageForRegistry(readFileSync(join(ROOT, file), 'utf8'), checkout, isFolder)
    const links = [...text.matchAll(/\]\(([^)\s]+)/g)].map(([, link]) => link)
    expect(links.length).toBeGreaterThan(5)
    for (const link of links) expect(link).toMatch(/^(https:\/\/|#)/)
  })
})

test('the bill of materials has the addons and the model beside the dependencies, for the same files the same', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bitnet-bill-'))
  try {
    const file = (name: string) => {
      writeFileSync(join(folder, name), name)
      return join(folder, name)
    }
    const component = { 'bom-ref': 'bitnet-ts@1.0.0', name: 'some-folder' }
    const fromNpm = (moment: string) => ({
      bomFormat: 'CycloneDX',
      serialNumber: `urn:uuid:${moment}`,
      metadata: { timestamp: moment, tools: [{ name: 'cli' }], component },
      components: [{ 'bom-ref': 'undici@7.0.0' }],
      dependencies: [{ ref: 'bitnet-ts@1.0.0', dependsOn: ['undici@7.0.0'] }],
    })
    const one = (name: string) => ({
      name,
      version: '1.0.0',
      license: 'MIT',
      tarball: file(`${name.replaceAll('/', '-')}.tgz`),
    })
    const facts = {
      date: '2026-01-01T00:00:00.000Z',
      main: one('bitnet-ts'),
      platforms: [one('@bitnet-ts/native-linux-x64')],
      compiler: 'Zig 0.16.0',
      models: [file('m.gguf')],
    }
    const bill = billOfMaterials(fromNpm('now'), facts)
    expect(billOfMaterials(fromNpm('later'), facts)).toEqual(bill)
    expect(bill.serialNumber).toMatch(
      /^urn:uuid:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-8[\da-f]{3}-[\da-f]{12}$/,
    )
    expect(bill.metadata.component.name).toBe('bitnet-ts')
    expect(bill.metadata.tools).toContainEqual(expect.objectContaining({ version: '0.16.0' }))
    const refs = ['undici@7.0.0', '@bitnet-ts/native-linux-x64@1.0.0', 'm.gguf']
    expect(bill.components.map((part: { 'bom-ref': string }) => part['bom-ref'])).toEqual(refs)
    expect(bill.dependencies[0].dependsOn).toEqual(refs)
    expect(bill.components[1]).toMatchObject({
      purl: 'pkg:npm/%40bitnet-ts/native-linux-x64@1.0.0',
      hashes: [{ alg: 'SHA-256', content: expect.stringMatching(/^[\da-f]{64}$/) }],
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
