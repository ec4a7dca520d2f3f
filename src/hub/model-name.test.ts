/**
 * Names of models: the legal forms, what is left to paths, and what somebody might try.
 */
import { describe, expect, test } from 'vitest'
import { UsageError } from '../errors.ts'
import { MODEL_ALIASES } from './aliases.ts'
import { formatModelName, parseModelName } from './model-name.ts'

const hub = (repo: string, file?: string, revision?: string) => ({
  kind: 'hub',
  repo,
  ...(file === undefined ? {} : { file }),
  ...(revision === undefined ? {} : { revision }),
})

describe('parseModelName takes', () => {
  test.each([
    ['owner/name', hub('owner/name')],
    ['hf:owner/name', hub('owner/name')],
    ['owner/name:file.gguf', hub('owner/name', 'file.gguf')],
    ['hf:owner/name:sub/file.gguf@v1.0', hub('owner/name', 'sub/file.gguf', 'v1.0')],
    ['owner/name@refs/pr/1', hub('owner/name', undefined, 'refs/pr/1')],
    ['bitnet-2b', hub('microsoft/bitnet-b1.58-2B-4T-gguf')],
    ['BitNet-2B@main', hub('microsoft/bitnet-b1.58-2B-4T-gguf', undefined, 'main')],
    ['hf:owner/name.gguf', hub('owner/name.gguf')],
    ['https://huggingface.co/owner/name', hub('owner/name')],
    ['https://hf.co/owner/name/', hub('owner/name')],
    [
      'https://huggingface.co/owner/name/resolve/main/a%20b.gguf?download=true',
      hub('owner/name', 'a b.gguf', 'main'),
    ],
    [
      'https://huggingface.co/owner/name/blob/refs%2Fpr%2F1/m.gguf',
      hub('owner/name', 'm.gguf', 'refs/pr/1'),
    ],
    ['https://huggingface.co/owner/name/tree/v2', hub('owner/name', undefined, 'v2')],
    ['http://mirror.test:8080/owner/name', hub('owner/name')],
    ['https://www.huggingface.co/owner/name', hub('owner/name')],
    ['https://huggingface.co/owner/name/raw/main/m.gguf', hub('owner/name', 'm.gguf', 'main')],
    ['https://huggingface.co/m.gguf', { kind: 'url', url: 'https://huggingface.co/m.gguf' }],
    [
      'http://mirror.test:8080/files/m.gguf',
      { kind: 'url', url: 'http://mirror.test:8080/files/m.gguf' },
    ],
    ['https://example.org/gpt2', { kind: 'url', url: 'https://example.org/gpt2' }],
    ['https://example.org/m.gguf#part', { kind: 'url', url: 'https://example.org/m.gguf' }],
    ['HTTPS://example.org/m.gguf', { kind: 'url', url: 'https://example.org/m.gguf' }],
    [
      'https://huggingface.co.example.org/owner/name',
      { kind: 'url', url: 'https://huggingface.co.example.org/owner/name' },
    ],
  ])('%s', (text, expected) => {
    expect(parseModelName(text, 'http://mirror.test:8080')).toEqual(expected)
  })
})

test.each(
  'model.gguf folder/model.gguf folder/model.safetensors name a/b/c /owner/name ./owner/name ../name ~/x owner/ /name file:///etc/passwd'.split(
    ' ',
  ),
)('%s can only be a path', (text) => {
  expect(parseModelName(text)).toBeUndefined()
})

describe('a page of the hub that is no model is refused in words', () => {
  test.each([
    ...[
      '',
      '/',
      '/gpt2',
      '/gpt2/',
      '/models',
      '/datasets/owner/name',
      '/spaces/owner/name',
      '/docs/hub',
    ],
    ...[
      '/owner/name/discussions',
      '/owner/name/discussions/3',
      '/owner/name/tree',
      '/owner/name/commits/main',
    ],
    ...['/collections/owner/name', '/owner/na..me'],
  ])('%s', (path) => {
    for (const host of ['https://huggingface.co', 'https://hf.co', 'http://mirror.test:8080']) {
      const parse = () => parseModelName(host + path, 'http://mirror.test:8080')
      expect(parse).toThrow(UsageError)
      expect(parse).toThrow(`${host}/owner/name`)
    }
  })
})

describe('a hostile name is no name', () => {
  test.each([
    'owner/..',
    '../owner',
    'owner/na..me',
    'owner/name:../../secret',
    'owner/name:/etc/passwd',
    'owner/name:a\\..\\b',
    'owner/name:nul.gguf',
    'owner/name:a\u0000b.gguf',
    'owner/name@../../x',
    'owner/name@-x',
    'owner/name@a/b/c/d/e/f',
    'owner/name@',
    'owner/name:',
    `owner/${'n'.repeat(97)}`,
    'owner name/model',
    'owner/name\n',
  ])('%j', (text) => {
    expect(parseModelName(text)).toBeUndefined()
    expect(() => parseModelName(`hf:${text}`)).toThrow(UsageError)
  })

  test('an address that leads out of its repository is only an address', () => {
    const url = 'https://huggingface.co/owner/name/resolve/main/%2e%2e%2f%2e%2e%2fsecret'
    expect(parseModelName(url)).toMatchObject({ kind: 'url' })
    expect(() => parseModelName('https://')).toThrow(UsageError)
  })

  test('an address with a password is refused without showing it', () => {
    for (const host of ['huggingface.co/owner/name', 'files.example/m.gguf']) {
      const parse = () => parseModelName(`https://user:secret@${host}`)
      expect(parse).toThrow(UsageError)
      expect(parse).toThrow(/^(?!.*secret)/)
    }
  })

  test('an address whose escapes are broken is refused in words', () => {
    const url = 'https://huggingface.co/owner/name/resolve/main/%zz'
    expect(() => parseModelName(url)).toThrow(UsageError)
  })
})

test('a formatted name is parsed to the same model', () => {
  for (const text of ['owner/name', 'owner/name:f.gguf@v1', 'owner/name@v1']) {
    const model = parseModelName(text)
    expect(model && formatModelName(model)).toBe(text)
  }
})

describe('the aliases', () => {
  test('are lower-case words, each there once, and lead to repositories', () => {
    const names = MODEL_ALIASES.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, repo } of MODEL_ALIASES) {
      expect(name).toMatch(/^[a-z0-9][a-z0-9.-]*$/)
      expect(parseModelName(name)).toEqual(hub(repo))
      expect(parseModelName(repo)).toEqual(hub(repo))
    }
  })

  test('state sizes and contexts that models have', () => {
    for (const { name, bytes = 1e9, context, licence } of MODEL_ALIASES) {
      expect(bytes, name).toBeGreaterThan(1e8)
      expect(bytes, name).toBeLessThan(1e10)
      expect([2048, 4096, 8192, 32_768], name).toContain(context)
      expect(licence).not.toBe('')
    }
  })
})
