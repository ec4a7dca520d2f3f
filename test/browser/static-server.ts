/**
 * A server on this machine alone: the built library, the modules that it imports, the embedded model
 * and a page for tests or measurements; with or without the headers that isolate a page from other
 * origins.
 */
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { text } from 'node:stream/consumers'
import { ROOT } from '../support/built-program.ts'

/** Packages that the library imports by name, as a bundler would resolve them for a browser. */
const MODULES: Record<string, string> = {
  'oniguruma-parser': 'index.js',
  'hash-wasm': 'index.esm.js',
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.gguf': 'application/octet-stream',
}

const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

const PAGE = `<!doctype html><link rel="icon" href="data:,">
<script type="module" src="/page.js"></script>`

export interface ServeOptions {
  readonly isolated: boolean
  /** What else is served: addresses, each with its file. `/page.js` replaces the page's script. */
  readonly files?: Readonly<Record<string, string>>
  /** A built page: a folder that is served in place of the library, the embedded model beside it. */
  readonly folder?: string
  /** Told what a page posts, and where to. */
  readonly posted?: (path: string, body: string) => Promise<void> | undefined
}

export interface StaticServer {
  readonly url: string
  close(): Promise<void>
}

export async function serve({
  isolated,
  files = {},
  folder,
  posted,
}: ServeOptions): Promise<StaticServer> {
  const server = createServer((request, response) => {
    if (isolated) {
      for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value)
    }
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname)
    // Asked for by the browser, not by the page.
    if (path === '/favicon.ico') response.writeHead(204).end()
    else if (request.method === 'POST') {
      text(request).then(async (body) => {
        await posted?.(path, body)
        response.writeHead(204).end()
      })
    } else if (folder !== undefined && !path.startsWith('/models/')) {
      // The path is an address's, in which no ".." is left.
      sendFile(response, join(folder, path === '/' ? 'index.html' : path), request.headers.range)
    } else if (path === '/') response.setHeader('Content-Type', TYPES['.html']).end(PAGE)
    else if (path.startsWith('/dist/') && path.endsWith('.js'))
      sendScript(response, join(ROOT, path))
    else sendFile(response, files[path] ?? placeOf(path), request.headers.range)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A script of the library with addresses for names: workers have no map of imports. */
function sendScript(response: ServerResponse, path: string): void {
  if (!existsSync(path)) {
    response.writeHead(404).end()
    return
  }
  const text = readFileSync(path, 'utf8')
  const named = Object.entries(MODULES).reduce(
    (script, [name, file]) => script.replaceAll(`'${name}'`, `'/modules/${name}/${file}'`),
    text,
  )
  response.setHeader('Content-Type', TYPES['.js']).end(named)
}

function placeOf(path: string): string | undefined {
  if (path === '/page.js') return join(ROOT, 'test/browser/page.js')
  if (path.startsWith('/dist/') || path.startsWith('/models/')) return join(ROOT, path)
  for (const name of Object.keys(MODULES)) {
    const folder = `/modules/${name}/`
    if (path.startsWith(folder)) {
      return join(ROOT, 'node_modules', name, 'dist', path.slice(folder.length))
    }
  }
  return undefined
}

function sendFile(response: ServerResponse, path: string | undefined, range?: string): void {
  const found = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })
  if (path === undefined || !found?.isFile()) {
    response.writeHead(404).end()
    return
  }
  response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream')
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  if (from === undefined) {
    createReadStream(path).pipe(response)
    return
  }
  const start = Number(from)
  const end = Math.min(Number(to), found.size - 1)
  response.writeHead(206, { 'Content-Range': `bytes ${start}-${end}/${found.size}` })
  createReadStream(path, { start, end }).pipe(response)
}
