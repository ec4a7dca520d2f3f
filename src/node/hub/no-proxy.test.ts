/** The forms of NO_PROXY. */
import { describe, expect, test } from 'vitest'
import { isWithoutProxy } from './no-proxy.ts'

const WITHOUT: readonly (readonly [noProxy: string, ...urls: string[]])[] = [
  ['example.com', 'https://example.com/a', 'http://sub.example.com', 'http://EXAMPLE.com.:81'],
  ['.example.com', 'https://example.com', 'https://a.b.example.com'],
  ['*.example.com', 'https://example.com', 'https://a.example.com'],
  ['Example.COM:8080', 'http://example.com:8080', 'http://a.example.com:8080'],
  ['example.com:443', 'https://example.com'],
  ['a, b\tc,,', 'http://a', 'http://b', 'http://c'],
  ['a,*', 'https://anything.test'],
  ['*', 'http://127.0.0.1:9', 'http://[::1]'],
  ['127.0.0.1', 'http://127.0.0.1:8000'],
  ['10.0.0.0/8', 'http://10.255.1.2', 'https://10.0.0.0'],
  ['192.168.1.7/32', 'http://192.168.1.7'],
  ['::1', 'http://[::1]:3000'],
  ['[::1]', 'http://[::1]:3000'],
  ['[::1]:3000', 'http://[::1]:3000'],
  ['fd00::/8', 'http://[fd12:3456::1]'],
]
const BY_PROXY: readonly (readonly [noProxy: string, ...urls: string[]])[] = [
  ['', 'http://a'],
  [' , ', 'http://a'],
  ['example.com', 'http://badexample.com', 'http://example.com.evil.test', 'http://com'],
  ['example.com:8080', 'http://example.com', 'http://example.com:81'],
  ['10.0.0.0/8', 'http://11.0.0.1', 'http://10.example', 'http://[::a00:1]'],
  ['10.0.0.0/99', 'http://10.0.0.1'],
  ['10.0.0.0/x', 'http://10.0.0.1'],
  ['[::1]:3000', 'http://[::1]:3001'],
  ['.', 'http://a'],
  ['*.', 'http://a'],
]

describe('NO_PROXY', () => {
  test.each(WITHOUT)('%j takes the proxy away', (noProxy, ...urls) => {
    expect(urls.filter((url) => !isWithoutProxy(new URL(url), noProxy))).toEqual([])
  })

  test.each(BY_PROXY)('%j leaves it', (noProxy, ...urls) => {
    expect(urls.filter((url) => isWithoutProxy(new URL(url), noProxy))).toEqual([])
  })
})
