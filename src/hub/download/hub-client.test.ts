/** Where a redirect may lead, and that the token stays with the hub. */
import { expect, test } from 'vitest'
import { DownloadError } from '../../errors.ts'
import { HubClient, type WebFetch } from './hub-client.ts'
import { strangersPace, waitMs } from './patience.ts'

const PACE = { firstWaitMs: 1, longestWaitMs: 1, failures: 1, silenceMs: 1000 }

/** As fetch fails, with the system's reason behind it. */
const failed = (code: string) =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(`connect ${code}`), { code }) })

/** How many requests are sent, in a pace of seven, until the last failure is final. */
async function requests(answers: (string | Response)[], last: string): Promise<number> {
  let count = 0
  const fetch: WebFetch = async () => {
    const answer = answers[count++] ?? last
    if (typeof answer === 'string') throw failed(answer)
    return answer
  }
  const access = { endpoint: 'https://hub.example', token: undefined }
  const client = new HubClient(access, { ...PACE, failures: 7 }, fetch)
  await expect(client.json('https://hub.example/a')).rejects.toThrow(`connect ${last}`)
  return count
}

test('a server that cannot be reached is asked three times', async () => {
  for (const code of ['ENOTFOUND', 'ECONNREFUSED', 'CERT_HAS_EXPIRED']) {
    expect(await requests([], code)).toBe(3)
  }
})

test('one that was there, and one that answered before, get all of their chances', async () => {
  expect(await requests([], 'ECONNRESET')).toBe(7)
  expect(await requests([new Response('', { status: 503 })], 'ECONNREFUSED')).toBe(7)
})

test('a stranger who keeps us waiting is not asked again', () => {
  const pace = { ...PACE, failures: 7 }
  expect(waitMs(strangersPace(pace, 4_999), 1)).toBeDefined()
  expect(waitMs(strangersPace(pace, 5_001), 1)).toBeUndefined()
})

/** Redirects the first request to `location`, and answers all others. */
function clientOf(location: string) {
  const asked: { url: string; token: string | undefined }[] = []
  const fetch: WebFetch = async (url, { headers }) => {
    asked.push({ url: String(url), token: headers['Authorization'] ?? headers['authorization'] })
    if (asked.length > 1) return new Response('{}')
    return new Response(null, { status: 302, headers: { Location: location } })
  }
  const access = { endpoint: 'https://hub.example', token: 'secret' }
  return { client: new HubClient(access, PACE, fetch as WebFetch), asked }
}

test.each([
  'http://hub.example/b',
  'http://other.example/b',
  'file:///etc/passwd',
  'ftp://a.example/b',
])('from https nothing is followed to %s', async (location) => {
  const { client, asked } = clientOf(location)
  await expect(client.request('https://hub.example/a', undefined)).rejects.toThrow(DownloadError)
  expect(asked).toHaveLength(1)
})

test('a server of somebody else gets no token', async () => {
  const { client, asked } = clientOf('https://storage.example/b')
  await client.request('https://hub.example/a', undefined)
  expect(asked.map(({ url }) => url)).toEqual([
    'https://hub.example/a',
    'https://storage.example/b',
  ])
  expect(asked[0].token).toContain('secret')
  expect(asked[1].token).toBeUndefined()
})
