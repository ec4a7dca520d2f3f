/**
 * A server that speaks the hub's API as far as models need it: revision, tree in pages, resolve with a
 * redirect of large files to a storage server on another port, entity tags, refusals. It can misbehave
 * in every way that networks and servers do, and keeps a log of what it was asked and what it sent.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeRepo {
  readonly files: Readonly<Record<string, Uint8Array>>
  /** Entries of the tree that are no files of its own making. */
  readonly extraEntries?: readonly unknown[]
  readonly gated?: boolean
  /** In the model card's header. */
  readonly licence?: string
}

export type Fault =
  /** The connection ends after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly after: number }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  /** Content-Length promises more, or less, than comes. */
  | { readonly kind: 'length'; readonly by: number }
  /** Content-Range, and the bytes, are of another place. */
  | { readonly kind: 'range'; readonly by: number }
  | { readonly kind: 'total'; readonly by: number }
  | { readonly kind: 'ignore-range' }
  | { readonly kind: 'etag'; readonly etag: string }
  | { readonly kind: 'corrupt'; readonly at: number }

export interface Asked {
  readonly place: 'hub' | 'storage'
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
  served: number
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567'
/** The branch of datasets in the form that all have. */
const PARQUET = 'refs/convert/parquet'
/** Smaller files are stored in git itself, and sent by the hub. */
const LFS_FROM = 1000
const PAGE = 3

export class FakeHub {
  readonly repos = new Map<string, FakeRepo>()
  readonly log: Asked[] = []
  /** Called for each request for content; undefined: behave. */
  fault: (asked: Asked, size: number) => Fault | undefined = () => undefined
  /** Bytes a second of one answer's body; unset: as fast as they go. */
  bytesPerSecond: number | undefined
  /** The largest answer of the API, padded with blanks; unset: as it is. */
  padTo = 0
  /** Where the next page of a tree is said to be; unset: where it is. */
  nextPageAt: string | undefined
  #hub: Server
  #storage: Server

  private constructor() {
    const forPages = (response: ServerResponse): ServerResponse =>
      response
        .setHeader('Access-Control-Allow-Origin', '*')
        .setHeader('Access-Control-Expose-Headers', '*')
    this.#hub = createServer((request, response) => this.#answer(request, forPages(response)))
    this.#storage = createServer((request, response) => this.#store(request, forPages(response)))
  }

  static async start(): Promise<FakeHub> {
    const fake = new FakeHub()
    for (const server of [fake.#hub, fake.#storage]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    }
    return fake
  }

  get endpoint(): string {
    return addressOf(this.#hub)
  }

  /** Of a file on the storage server, without the hub. */
  fileUrl(repo: string, file: string): string {
    return `${addressOf(this.#storage)}/${repo}/${file}`
  }

  get servedBytes(): number {
    return this.log.reduce((sum, { served }) => sum + served, 0)
  }

  /** Requests for a file's content. */
  asked(file: string): Asked[] {
    return this.log.filter(({ path, place }) => path.endsWith(file) && place === 'storage')
  }

  close(): void {
    for (const server of [this.#hub, this.#storage]) {
      server.close()
      server.closeAllConnections()
    }
  }

  #record(place: Asked['place'], request: IncomingMessage): Asked {
    const asked: Asked = {
      place,
      path: decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname),
      range: request.headers.range,
      authorization: request.headers.authorization,
      served: 0,
    }
    this.log.push(asked)
    return asked
  }

  #answer(request: IncomingMessage, response: ServerResponse): unknown {
    const asked = this.#record('hub', request)
    const url = new URL(request.url ?? '', 'http://x')
    // Datasets are kept as "datasets/owner/name", which is also how their files are addressed.
    const place = url.pathname.replace(/^\/api\/(models\/|(?=datasets\/))/, '/api/')
    const api = /^\/api\/((?:datasets\/)?[^/]+\/[^/]+)\/(revision|tree)\/([^/]+)(?:\/(.+))?$/.exec(
      place,
    )
    const resolve = /^\/((?:datasets\/)?[^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(place)
    const name = api?.[1] ?? resolve?.[1] ?? ''
    const repo = this.repos.get(name)
    if (repo === undefined) return refuse(response, 401, 'RepoNotFound', 'Repository not found')
    if (repo.gated === true && asked.authorization === undefined && resolve !== null) {
      return refuse(response, 401, 'GatedRepo', `Access to model ${name} is restricted.`)
    }
    const revision = decodeURIComponent(api?.[3] ?? resolve?.[2] ?? '')
    if (![name.startsWith('datasets/') ? PARQUET : 'main', COMMIT].includes(revision)) {
      return refuse(response, 404, 'RevisionNotFound', 'Invalid rev id')
    }
    if (api?.[2] === 'revision') {
      const cardData = repo.licence === undefined ? {} : { license: repo.licence }
      return this.#json(response, { id: name, sha: COMMIT, gated: repo.gated ?? false, cardData })
    }
    if (api !== null) return this.#tree(response, name, repo, url, api[4])
    const path = decodeURIComponent(resolve?.[3] ?? '')
    const content = repo.files[path]
    if (content === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found')
    if (content.length < LFS_FROM) return this.#send(asked, request, response, content)
    const location = this.fileUrl(name, path)
    const headers = {
      Location: `${location}?signature=1`,
      'X-Repo-Commit': COMMIT,
      'X-Linked-Etag': `"${sha256(content)}"`,
      'X-Linked-Size': String(content.length),
    }
    return response.writeHead(302, headers).end()
  }

  #tree(response: ServerResponse, name: string, repo: FakeRepo, url: URL, folder = ''): void {
    const entries: unknown[] = [
      ...inFolder(repo.files, decodeURIComponent(folder)).map(([path, content]) => ({
        type: 'file',
        path,
        size: content.length,
        oid: gitSha1(content),
        ...(content.length < LFS_FROM
          ? {}
          : { lfs: { oid: sha256(content), size: content.length, pointerSize: 134 } }),
      })),
      { type: 'directory', path: 'folder', oid: '0'.repeat(40), size: 0 },
      ...(repo.extraEntries ?? []),
    ]
    const from = Number(url.searchParams.get('cursor') ?? 0)
    const place = this.nextPageAt ?? `${this.endpoint}/api/models/${name}/tree/${COMMIT}`
    const next = `${place}?recursive=true&cursor=${from + PAGE}`
    if (from + PAGE < entries.length) response.setHeader('Link', `<${next}>; rel="next"`)
    this.#json(response, entries.slice(from, from + PAGE))
  }

  #json(response: ServerResponse, value: unknown): void {
    const text = JSON.stringify(value).padEnd(this.padTo)
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(text)
  }

  #store(request: IncomingMessage, response: ServerResponse): unknown {
    const asked = this.#record('storage', request)
    const [, name, path] = /^\/((?:datasets\/)?[^/]+\/[^/]+)\/(.+)$/.exec(asked.path) ?? []
    const content = this.repos.get(name ?? '')?.files[path ?? '']
    if (content === undefined) return refuse(response, 404, 'EntryNotFound', 'no such file')
    return this.#send(asked, request, response, content)
  }

  #send(
    asked: Asked,
    request: IncomingMessage,
    response: ServerResponse,
    content: Uint8Array,
  ): void {
    const fault = this.fault(asked, content.length)
    if (fault?.kind === 'status') {
      const wait = fault.retryAfter === undefined ? {} : { 'Retry-After': fault.retryAfter }
      response.writeHead(fault.status, wait).end()
      return
    }
    const isSmall = content.length < LFS_FROM
    const tag = isSmall ? gitSha1(content) : `s3-${sha256(content).slice(0, 20)}`
    const etag = fault?.kind === 'etag' ? fault.etag : `"${tag}"`
    const ifRange = request.headers['if-range']
    const asksRange = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const isPart =
      asksRange !== null &&
      fault?.kind !== 'ignore-range' &&
      // A weak tag does not vouch for single bytes.
      (ifRange === undefined || (ifRange === etag && !etag.startsWith('W/')))
    const [start, end] = isPart
      ? [Number(asksRange[1]), Math.min(content.length, Number(asksRange[2]) + 1)]
      : [0, content.length]
    const shift = fault?.kind === 'range' ? fault.by : 0
    let body = content.slice(Math.max(0, start + shift), Math.max(0, end + shift))
    if (fault?.kind === 'corrupt' && body.length > 0) body[fault.at % body.length] ^= 0x55
    const total = content.length + (fault?.kind === 'total' ? fault.by : 0)
    const promised = body.length + (fault?.kind === 'length' ? fault.by : 0)
    response.writeHead(isPart ? 206 : 200, {
      ETag: etag,
      'Content-Length': Math.max(0, promised),
      ...(isPart ? { 'Content-Range': `bytes ${start + shift}-${end + shift - 1}/${total}` } : {}),
    })
    const cut = fault?.kind === 'cut' ? Math.min(fault.after, body.length) : undefined
    if (cut !== undefined) body = body.subarray(0, cut)
    const ends = cut !== undefined || promised > body.length
    void this.#stream(asked, response, body, ends)
  }

  async #stream(
    asked: Asked,
    response: ServerResponse,
    body: Uint8Array,
    cut: boolean,
  ): Promise<void> {
    const step = this.bytesPerSecond === undefined ? 64 << 10 : this.bytesPerSecond / 50
    for (let at = 0; at < body.length && !response.destroyed; at += step) {
      const part = body.subarray(at, Math.min(body.length, at + step))
      if (!response.write(part)) {
        await new Promise<void>((resolve) => {
          const settle = (): void => {
            response.off('drain', settle)
            response.off('close', settle)
            resolve()
          }
          response.once('drain', settle)
          response.once('close', settle)
        })
      }
      asked.served += part.length
      if (this.bytesPerSecond !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    // Ending the socket, not destroying it, lets what was written arrive.
    if (cut) response.socket?.end()
    else response.end()
  }
}

function inFolder(files: FakeRepo['files'], folder: string): [string, Uint8Array][] {
  const prefix = folder === '' ? '' : `${folder}/`
  return Object.entries(files).filter(([path]) => path.startsWith(prefix))
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function gitSha1(content: Uint8Array): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'X-Error-Code': code, 'X-Error-Message': message }).end()
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
