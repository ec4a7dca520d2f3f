/**
 * Answers that come piece by piece: server-sent events, and a JSON object a line as Ollama sends them.
 * Pieces are made when the reader has room for them; one that takes none for too long is given up.
 */

export interface StreamEnds {
  /** Called once when the reader goes away or takes nothing for too long. */
  cancel(reason: 'disconnected' | 'stalled'): void
  /** Called once when the last piece was taken, or the reader has gone. */
  done(): void
  readonly stallMs: number
}

/** @param pieces of the body; a failure in between breaks the connection, so that none is taken for whole */
export function streamBody(
  pieces: AsyncIterable<string>,
  ends: StreamEnds,
): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  let timer: ReturnType<typeof setTimeout> | undefined
  let isOver = false
  const end = (): void => {
    clearTimeout(timer)
    if (isOver) return
    isOver = true
    ends.done()
  }
  const giveUp = (reason: 'disconnected' | 'stalled'): void => {
    clearTimeout(timer)
    if (isOver) return
    ends.cancel(reason)
    // Whatever it still has to say, nobody reads it.
    void iterator.return?.()?.catch(() => undefined)
    end()
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(timer)
        try {
          const { done, value } = await iterator.next()
          if (isOver) return
          if (done === true) {
            controller.close()
            end()
            return
          }
          controller.enqueue(encoder.encode(value))
          timer = setTimeout(() => {
            giveUp('stalled')
            controller.error(new Error('The reader took nothing for too long.'))
          }, ends.stallMs)
        } catch (error) {
          controller.error(error)
          end()
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
