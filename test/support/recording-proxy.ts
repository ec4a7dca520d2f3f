/**
 * A small HTTP proxy on this machine that notes what it is asked for: requests in absolute form, and
 * tunnels. Names that no network knows lead to one server of the test's.
 */
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'

export class RecordingProxy {
  /** "GET http://host/path" or "CONNECT host:port". */
  readonly log: string[] = []
  /** What is not an address of this machine leads here, if it is set; else it is refused. */
  target: URL | undefined
  readonly #server: Server

  private constructor() {
    this.#server = createServer((incoming, response) => {
      this.log.push(`${incoming.method} ${incoming.url}`)
      const place = this.#placeOf(new URL(incoming.url ?? '').host)
      if (place === undefined) return void response.writeHead(502).end()
      const { pathname, search } = new URL(incoming.url ?? '')
      const { method, headers } = incoming
      const onward = request({ ...place, method, headers, path: pathname + search }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      onward.on('error', () => response.destroy())
      incoming.pipe(onward)
    })
    this.#server.on('connect', (incoming, socket, head) => {
      this.log.push(`CONNECT ${incoming.url}`)
      const place = this.#placeOf(incoming.url ?? '')
      if (place === undefined) return void socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      const onward = connect(place.port, place.host, () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        onward.write(head)
        onward.pipe(socket).pipe(onward)
      })
      onward.on('error', () => socket.destroy())
      socket.on('error', () => onward.destroy())
      return undefined
    })
  }

  static async start(): Promise<RecordingProxy> {
    const proxy = new RecordingProxy()
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #placeOf(host: string): { host: string; port: number } | undefined {
    const url = host.startsWith('127.0.0.1:') ? new URL(`http://${host}`) : this.target
    return url === undefined ? undefined : { host: url.hostname, port: Number(url.port) }
  }
}
