import { expect, test } from 'vitest'
import { UsageError } from '../../errors.ts'
import { missingProxy } from './node-client.ts'

/** As fetch rejects where a name has no address. */
const unknownHost = (hostname: string) =>
  new TypeError('fetch failed', {
    cause: Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), {
      code: 'ENOTFOUND',
      hostname,
    }),
  })

test('a proxy that nobody knows is told at once, by its variable', () => {
  const settings = { httpProxy: undefined, httpsProxy: 'http://garbage' }
  const error = missingProxy(unknownHost('garbage'), settings)
  expect(error).toBeInstanceOf(UsageError)
  expect(error?.message).toMatch(/HTTPS_PROXY.*"garbage"/)
  expect(
    missingProxy(unknownHost('a.b'), { ...settings, httpProxy: 'http://a.b:3128' })?.message,
  ).toMatch(/HTTP_PROXY.*"a\.b"/)
})

test('other failures are tried again', () => {
  const settings = { httpProxy: undefined, httpsProxy: 'http://proxy.example:3128' }
  expect(missingProxy(unknownHost('hub.example'), settings)).toBeUndefined()
  expect(missingProxy(new TypeError('fetch failed'), settings)).toBeUndefined()
})
