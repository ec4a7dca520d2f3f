/**
 * Answers that come piece by piece: server-sent events, and a JSON object a line as Ollama sends them.
 * Pieces are made when the reader has room for them; one that takes none for too long is given up.
 */

export interface StreamEnds {
  /** Called once when the reader goes away or takes nothing for too long. */
  cancel(reason: 'disconnected' | 'stalled'): void
  /** Called once when the last piece was taken, the reader has gone, or a piece could not be made. */
  done(error?: unknown): void
  /** Breaks the connection, so that what came is not taken for whole. Unset: the stream fails, which does the same. */
  readonly breakOff?: (() => void) | undefined
  readonly stallMs: number
}

/**
 * @param first of the pieces, which has come already
 * @param rest of them; a failure in between breaks the connection, so that none is taken for whole
 */
export function streamBody(
  first: IteratorResult<string, void>,
  rest: AsyncGenerator<string, void>,
  ends: StreamEnds,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let next: IteratorResult<string, void> | undefined = first
  let timer: ReturnType<typeof setTimeout> | undefined
  /** Since when a piece lies there; undefined while one is made. */
  let untakenSince: number | undefined
  let isOver = false
  const end = (error?: unknown): void => {
    clearTimeout(timer)
    if (isOver) return
    isOver = true
    ends.done(error)
  }
  const giveUp = (reason: 'disconnected' | 'stalled'): void => {
    clearTimeout(timer)
    if (isOver) return
    ends.cancel(reason)
    // Whatever it still has to say, nobody reads it.
    void rest.return().catch(() => undefined)
    end()
  }
  const fail = (controller: ReadableStreamDefaultController, error: unknown): void => {
    if (ends.breakOff !== undefined) ends.breakOff()
    else controller.error(error)
  }
  /** One timer for all pieces: most are taken at once. */
  const watch = (controller: ReadableStreamDefaultController, ms: number): void => {
    timer = setTimeout(() => {
      const left = ends.stallMs - (performance.now() - (untakenSince ?? performance.now()))
      if (left > 0) return watch(controller, left)
      giveUp('stalled')
      fail(controller, new Error('The reader took nothing for too long.'))
    }, ms)
  }
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => watch(controller, ends.stallMs),
      async pull(controller) {
        untakenSince = undefined
        try {
          const { done, value } = next ?? (await rest.next())
          next = undefined
          if (isOver) return
          if (done === true) {
            controller.close()
            end()
            return
          }
          controller.enqueue(encoder.encode(value))
          untakenSince = performance.now()
        } catch (error) {
          end(error)
          fail(controller, error)
        }
      },
      cancel() {
        giveUp('disconnected')
      },
    },
    { highWaterMark: 1 },
  )
}

export const EVENT_STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Proxies that gather answers before they pass them on are asked not to.
  'x-accel-buffering': 'no',
}

/** An event of the wire format. JSON has no line ends, so that the data is one line. */
export function serverSentEvent(data: unknown, event?: string): string {
  const name = event === undefined ? '' : `event: ${event}\n`
  return `${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}

export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}
