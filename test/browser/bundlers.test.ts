/**
 * The pages of docs/browser.md, taken from the document, built with the packed package and run in Chromium:
 * with threads, on WebAssembly, to the tokens that Node gives.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import type { Browser } from 'playwright-core'
import { build as viteBuild } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import webpack from 'webpack'
import { loadModel } from '../../src/node/load-model.ts'
import { hasEmbeddedModel, ROOT } from '../support/built-program.ts'
import { type PackedProject, packedProject } from '../support/packed-package.ts'
import { findChromium, launchChromium } from './chromium.ts'
import { serve } from './static-server.ts'

const executable = findChromium()
const missing = executable === undefined ? 'no Chromium' : hasEmbeddedModel() ? '' : 'no model'

/** The document's files, by the headings that they stand under. */
const pages = readPages(readFileSync(join(ROOT, 'docs', 'browser.md'), 'utf8'))

function readPages(document: string): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const section = document.slice(document.indexOf('## Bundlers'), document.indexOf('## Tests'))
  const parts = section.split(/^##+ (.*)\n/m).slice(1)
  const found: Record<string, Record<string, string>> = {}
  for (let i = 0; i < parts.length; i += 2) {
    const blocks = parts[i + 1].matchAll(/^```\w+\n(?:\/\/|<!--) (\S+)(?: -->)?\n([^`]*)^```/gm)
    found[parts[i]] = Object.fromEntries([...blocks].map(([, name, text]) => [name, text]))
  }
  return found
}

/** How each is built, in its project; the folder with the page. */
const BUILDS: Readonly<Record<string, (folder: string) => Promise<string>>> = {
  async Vite(folder) {
    const configFile = join(folder, 'vite.config.js')
    await viteBuild({ root: folder, configFile, logLevel: 'error' })
    return join(folder, 'dist')
  },
  async webpack(folder) {
    const { default: config } = await import(pathToFileURL(join(folder, 'webpack.config.js')).href)
    const output = { ...config.output, path: join(folder, 'dist') }
    // Its advice on sizes is for pages that have no model to fetch.
    const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) => {
      webpack({ ...config, context: folder, output, performance: false }, (error, done) =>
        error ? reject(error) : resolve(done),
      )
    })
    expect(stats?.toJson({ all: false, errors: true, warnings: true })).toMatchObject({
      errors: [],
      warnings: [],
    })
    cpSync(join(folder, 'index.html'), join(folder, 'dist', 'index.html'))
    return join(folder, 'dist')
  },
  async esbuild(folder) {
    execFileSync(process.execPath, ['build.js'], { cwd: folder })
    return join(folder, 'dist')
  },
  'No bundler': async (folder) => folder,
}

test('the document has a page for each way', () => {
  expect(Object.keys(pages)).toEqual(['Bundlers', ...Object.keys(BUILDS)])
  expect(Object.values(pages).map((files) => Object.keys(files))).toEqual([
    ['index.html', 'app.js'],
    ['vite.config.js'],
    ['webpack.config.js'],
    ['build.js', 'app.js'],
    ['index.html'],
  ])
})

describe.skipIf(missing !== '')(`in Chromium${missing && ` (${missing})`}`, () => {
  let browser: Browser
  let project: PackedProject
  let expected: string

  beforeAll(async () => {
    project = await packedProject(['esbuild'])
    browser = await launchChromium(executable ?? '')
    await using model = await loadModel()
    const options = { maxTokens: 20, temperature: 0 }
    expected = (await model.generate('Once upon a time', options).result).text
  })
  afterAll(async () => {
    await browser?.close()
    await project?.[Symbol.asyncDispose]()
  })

  /** The page in `folder` writes what Node wrote, and says nothing else. @returns its title */
  async function titleOf(folder: string): Promise<string> {
    const server = await serve({ isolated: true, folder })
    const page = await browser.newPage()
    try {
      const problems: string[] = []
      page.on('pageerror', (error) => problems.push(error.message))
      page.on('console', (message) => {
        // Chromium's own word where 'auto' asks for a GPU and there is none.
        if (message.text() !== 'No available adapters.') problems.push(message.text())
      })
      await page.goto(server.url)
      const isDone = `${expected.trim().length} <= document.body.innerText.trim().length`
      // A page that never gets there has said why.
      await page.waitForFunction(isDone).catch((error) => problems.push(error.message))
      expect(problems).toEqual([])
      expect(await page.evaluate('document.body.innerText.trim()')).toBe(expected.trim())
      return await page.title()
    } finally {
      await page.close()
      await server.close()
    }
  }

  async function projectIn(
    place: string,
    files: Readonly<Record<string, string>>,
  ): Promise<string> {
    const named = Object.entries(files).map(([name, text]) => [`${place}/${name}`, text])
    await project.write(Object.fromEntries(named))
    const root = join(project.folder, place)
    await symlink(join(project.folder, 'node_modules'), join(root, 'node_modules'), 'junction')
    return root
  }

  test.each(Object.keys(BUILDS))('%s gives a page that runs', async (way) => {
    const root = await projectIn(way.replaceAll(' ', '-'), { ...pages['Bundlers'], ...pages[way] })
    expect(await titleOf(await BUILDS[way](root))).toMatch(/^wasm wasm-\S+, [2-9]\d* threads$/)
  })

  test('Vite finds the worker that writes the files of kept models', async () => {
    const app = (pages['Bundlers']['app.js'] ?? '')
      .replace('{ loadModel }', '{ loadModel, openModelStore }')
      .replace(".gguf')", ".gguf', { store: await openModelStore() })")
    const files = { ...pages['Bundlers'], ...pages['Vite'], 'app.js': app }
    const folder = await BUILDS['Vite'](await projectIn('store', files))
    expect(await titleOf(folder)).toMatch(/^wasm /)
  })

  test.each([
    ['esbuild', ''],
    ['Vite', '?url'],
  ])('%s puts one module, by its exported name, beside a page', async (way, query) => {
    const app = (pages['Bundlers']['app.js'] ?? '').replace(".gguf')", ".gguf', { wasm })")
    const root = await projectIn(`one-module-${way}`, {
      ...pages['Bundlers'],
      ...pages[way],
      'app.js': `import wasm from 'bitnet-ts/wasm/bitnet-simd.wasm${query}'\n${app}`,
    })
    if (way === 'esbuild') {
      await build({
        entryPoints: [join(root, 'app.js')],
        ...{ bundle: true, format: 'esm', loader: { '.wasm': 'file' } },
        outdir: join(root, 'dist'),
        logLevel: 'silent',
      })
      cpSync(join(root, 'index.html'), join(root, 'dist', 'index.html'))
    } else await BUILDS[way](root)
    expect(await titleOf(join(root, 'dist'))).toMatch(/^wasm wasm-simd, 1 thread/)
  })
})
