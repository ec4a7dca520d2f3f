/** Folders and proxies as people write them into variables. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expandPath } from '../files/folders.ts'
import { readHubSettings } from './hub-settings.ts'

const NO_TOKEN = { HF_TOKEN: 'x' }
const braced = (name: string) => `$\{${name}}`

describe('folders', () => {
  test.each([
    ['~', homedir()],
    ['~/models', join(homedir(), 'models')],
    ['$DISK/hf', '/big/hf'],
    [`${braced('DISK')}/hf/$NAME`, '/big/hf/n'],
    [`/a/$UNSET/${braced('UNSET')}`, `/a/$UNSET/${braced('UNSET')}`],
    ['$TILDE/x', join(homedir(), 'x')],
    ['~other/x', '~other/x'],
    ['/a/~/b', '/a/~/b'],
    ['/plain', '/plain'],
  ])('%s', (path, expected) => {
    expect(expandPath(path, { DISK: '/big', NAME: 'n', TILDE: '~' })).toBe(expected)
  })

  test.each([
    [{ HF_HOME: '~/hf' }, join(homedir(), 'hf', 'hub')],
    [{ HF_HOME: '$DISK/hf', DISK: '/big' }, join('/big/hf', 'hub')],
    [{ HF_HUB_CACHE: '~/cache', HF_HOME: '/x' }, join(homedir(), 'cache')],
    [{ HUGGINGFACE_HUB_CACHE: `${braced('DISK')}/c`, DISK: '/big' }, '/big/c'],
    [{ XDG_CACHE_HOME: '~/.c' }, join(homedir(), '.c', 'huggingface', 'hub')],
    [{ HF_HOME: '' }, join(homedir(), '.cache', 'huggingface', 'hub')],
  ])('the cache with %j', async (env, expected) => {
    expect((await readHubSettings({ ...NO_TOKEN, ...env })).cacheFolder).toBe(expected)
  })
})

describe('proxies', () => {
  test.each([
    ['127.0.0.1:3128', 'http://127.0.0.1:3128'],
    ['proxy.example:8080', 'http://proxy.example:8080'],
    ['user:secret@proxy:1', 'http://user:secret@proxy:1'],
    ['[::1]:3128', 'http://[::1]:3128'],
    [' http://p:1 ', 'http://p:1'],
    ['HTTPS://p', 'HTTPS://p'],
    ['garbage', 'http://garbage'],
    ['', undefined],
  ])('%s', async (text, expected) => {
    for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']) {
      expect((await readHubSettings({ ...NO_TOKEN, [name]: text })).httpProxy).toBe(expected)
    }
    expect((await readHubSettings({ ...NO_TOKEN, HTTPS_PROXY: text })).httpsProxy).toBe(expected)
  })

  test.each([
    'http://',
    'socks5://p:1',
    'p:port',
    'a b',
    '://p',
    'http://user:secret@p:99999',
    'http://us%er:secret@p:1',
  ])('%s is refused, naming the variable and no secret', async (text) => {
    const read = readHubSettings({ ...NO_TOKEN, HTTPS_PROXY: text })
    await expect(read).rejects.toMatchObject({ code: 'USAGE' })
    await expect(read).rejects.toThrow(/HTTPS_PROXY(?!.*secret)/)
  })

  test('of one scheme go before that of all', async () => {
    const env = { ...NO_TOKEN, ALL_PROXY: 'http://all:1', https_proxy: 'http://one:1' }
    const { httpProxy, httpsProxy } = await readHubSettings(env)
    expect([httpProxy, httpsProxy]).toEqual(['http://all:1', 'http://one:1'])
  })
})

test('the hub has no password in its address, and none is shown', async () => {
  const read = readHubSettings({ ...NO_TOKEN, HF_ENDPOINT: 'https://user:secret@hub.example' })
  await expect(read).rejects.toMatchObject({ code: 'USAGE' })
  await expect(read).rejects.toThrow(/HF_ENDPOINT(?!.*secret)/)
})

test('the token may stand in the older variable', async () => {
  const older = { HUGGING_FACE_HUB_TOKEN: 'hf_old' }
  expect((await readHubSettings(older)).token).toBe('hf_old')
  expect((await readHubSettings({ ...older, HF_TOKEN: 'hf_new' })).token).toBe('hf_new')
})
