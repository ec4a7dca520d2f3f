/** Where a redirect may lead, and that the token stays with the hub. */
import { expect, test } from 'vitest'
import { DownloadError } from '../../errors.ts'
import { HubClient, type WebFetch } from './hub-client.ts'

const PACE = { firstWaitMs: 1, longestWaitMs: 1, failures: 1, silenceMs: 1000 }

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
