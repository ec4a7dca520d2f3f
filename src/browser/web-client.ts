/**
 * Requests of a page. Browsers follow redirects without showing them, and there is no token to be given away.
 */
import { HubClient, type WebResponse } from '../hub/download/hub-client.ts'
import { type Pace, USUAL_PACE } from '../hub/download/patience.ts'

export const HUB = 'https://huggingface.co'

/**
 * @param endpoint the hub's address
 * @param cache `no-store` for what is kept elsewhere
 * @param pace unset: the usual one
 */
export function webClient(
  endpoint: string,
  cache: RequestCache = 'default',
  pace: Pace = USUAL_PACE,
): HubClient {
  return new HubClient({ endpoint, token: undefined }, pace, async (url, init) => {
    const silence = new AbortController()
    const { signal: own } = silence
    const signal = init.signal ? AbortSignal.any([init.signal, own]) : own
    /** Gives the request up where nothing comes for long. */
    const inTime = async <T>(coming: Promise<T>): Promise<T> => {
      const seconds = pace.silenceMs / 1000
      const giveUp = () => silence.abort(new Error(`nothing came for ${seconds} s`))
      const timer = setTimeout(giveUp, pace.silenceMs)
      try {
        return await coming
      } finally {
        clearTimeout(timer)
      }
    }
    const { headers } = init
    const response = await inTime(fetch(url, { headers, cache, signal, redirect: 'follow' }))
    return heard(response, inTime)
  })
}

/** The same answer, whose body is waited for so long and no longer. */
function heard(
  { status, headers, body }: Response,
  inTime: <T>(coming: Promise<T>) => Promise<T>,
): WebResponse {
  if (body === null) return { status, headers, body }
  const getReader = () => {
    const reader = body.getReader()
    return {
      read: () => inTime(reader.read()),
      cancel: (reason?: unknown) => reader.cancel(reason),
    }
  }
  return { status, headers, body: { getReader, cancel: () => body.cancel() } }
}
