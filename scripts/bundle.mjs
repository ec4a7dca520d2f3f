/**
 * TypeScript of this project as one file that Node 20 runs, for scripts.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * @param entry the file, below the project's folder
 * @param outfile where its bundle goes; packages are taken from the project
 * @param addon the addon that it loads, if another than the built one
 * @returns outfile
 */
export async function bundled(entry, outfile, { addon } = {}) {
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
    plugins: [inPlace, ...(addon === undefined ? [] : [withAddon(addon)])],
  })
  return outfile
}

/** A module's own place stays that of its source, beside which workers and models lie. */
const inPlace = {
  name: 'in-place',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/, namespace: 'file' }, async ({ path }) => {
      const { readFile } = await import('node:fs/promises')
      const source = await readFile(path, 'utf8')
      const url = JSON.stringify(`file://${path}`)
      return {
        contents: source.replaceAll('import.meta.url', url),
        loader: 'ts',
        resolveDir: dirname(path),
      }
    })
  },
}

const withAddon = (addon) => ({
  name: 'with-addon',
  setup({ onLoad }) {
    onLoad({ filter: /find-addon\.ts$/ }, () => ({
      contents: `export const findAddon = () => ${JSON.stringify(addon)}; export const thisPlace = () => ({})`,
    }))
  },
})
