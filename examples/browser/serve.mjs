/**
 * Serves the page of this folder, on this machine alone: `npm run browser [PORT]`. It sends the two headers that
 * threads need, the built library, the embedded model, and the two packages that the library imports by name.
 */
import { createReadStream, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDERS = {
  '/dist/': 'dist/',
  '/models/': 'models/',
  '/hash-wasm/': 'node_modules/hash-wasm/dist/',
  '/oniguruma-parser/': 'node_modules/oniguruma-parser/dist/',
  '/': 'examples/browser/',
}
/** Workers have no map of imports, so that the names of packages become their addresses. */
const PACKAGES = {
  "'hash-wasm'": "'/hash-wasm/index.esm.js'",
  "'oniguruma-parser'": "'/oniguruma-parser/index.js'",
}
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
}
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cache-Control': 'no-cache',
}

/** The file that an address stands for; what is no file of these folders is not found. */
function fileOf(url) {
  // No ".." is left in it, not even one that was written in hexadecimal.
  const path = posix.normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname))
  const folder = Object.keys(FOLDERS).find((name) => path.startsWith(name))
  if (folder === undefined || /[\0\\]/.test(path)) return undefined
  const file = join(ROOT, FOLDERS[folder], path === '/' ? 'index.html' : path.slice(folder.length))
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : undefined
}

async function answer(request, response) {
  let file
  try {
    file = fileOf(request.url ?? '/')
  } catch {
    // Not an address.
  }
  if (file === undefined) {
    response.writeHead(404).end('There is no such file.')
    return
  }
  const type = TYPES[extname(file)] ?? 'application/octet-stream'
  const headers = { ...HEADERS, 'Content-Type': type }
  if (extname(file) === '.js') {
    const text = await readFile(file, 'utf8')
    const named = text.replaceAll(/'(hash-wasm|oniguruma-parser)'/g, (name) => PACKAGES[name])
    response.writeHead(200, headers).end(named)
    return
  }
  const { size } = statSync(file)
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  if (first === undefined || Number(first) >= size) {
    response.writeHead(200, { ...headers, 'Content-Length': size })
    createReadStream(file).pipe(response)
    return
  }
  const end = Math.min(Number(last), size - 1)
  const range = `bytes ${first}-${end}/${size}`
  response.writeHead(206, { ...headers, 'Content-Range': range })
  createReadStream(file, { start: Number(first), end }).pipe(response)
}

const port = Number(process.argv[2] ?? 8080)
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  console.error(`Expected a port from 0 to 65535, got "${process.argv[2]}".`)
  process.exit(2)
}
if (!statSync(join(ROOT, 'dist/browser.js'), { throwIfNoEntry: false })) {
  console.error('The library is not built. Run: npm run build')
  process.exit(1)
}
const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.destroy(error))
})
server.on('error', ({ message }) => {
  console.error(`The page cannot be served: ${message}. Name another port: npm run browser 8081`)
  process.exit(1)
})
server.listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/  (Ctrl-C ends it)`)
})
