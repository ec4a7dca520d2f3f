/**
 * The hub's JSON, when it is what it should be and when somebody made it up.
 */
import { describe, expect, test } from 'vitest'
import { FormatError } from '../errors.ts'
import { isSafePath, nextPage, readRevision, readTree, resolvePath } from './repo-file.ts'

const COMMIT = '0'.repeat(40)
const SHA256 = 'a'.repeat(64)
const file = (path: unknown, more = {}) => ({ type: 'file', path, size: 1, oid: COMMIT, ...more })
const tree = (...entries: unknown[]) => readTree(entries, 'test')

describe('a tree', () => {
  test('gives files with the hash by which their content is known', () => {
    const lfs = { oid: SHA256, size: 5_000_000_000 }
    expect(
      tree(file('a/b.json'), file('m.gguf', { lfs }), { type: 'directory', path: 'a' }),
    ).toEqual([
      { path: 'a/b.json', size: 1, hash: { algorithm: 'git-sha1', hex: COMMIT } },
      { path: 'm.gguf', size: lfs.size, hash: { algorithm: 'sha256', hex: SHA256 } },
    ])
  })

  test.each([
    '../up.gguf',
    'a/../../up.gguf',
    '/etc/passwd',
    'C:/x.gguf',
    'a\\b.gguf',
    'a//b',
    './a',
    'nul',
    'con.gguf',
    'a/COM1.json',
    'trailing.',
    'space ',
    'tab\tname',
    'line\nname',
    '',
    'x'.repeat(201),
    'deep/'.repeat(100),
  ])('leaves out a file named %j', (path) => {
    expect(isSafePath(path)).toBe(false)
    expect(tree(file(path), file('good.gguf')).map((one) => one.path)).toEqual(['good.gguf'])
  })

  test.each([
    ['answer', ['text']],
    ['path', [file(7)]],
    ['size', [file('a', { size: -1 })]],
    ['size', [file('a', { size: 1.5 })]],
    ['size', [file('a', { size: 2 ** 45 })]],
    ['oid', [file('a', { oid: `../${'0'.repeat(37)}` })]],
    ['oid', [file('a', { oid: COMMIT.slice(1) })]],
    ['oid', [file('a', { lfs: { oid: SHA256.toUpperCase(), size: 1 } })]],
    ['answer', [file('a', { lfs: 'text' })]],
  ])('is refused for a wrong %s', (field, entries) => {
    expect(() => tree(...entries)).toThrow(expect.objectContaining({ code: 'FORMAT', field }))
  })

  test('must be a list', () => expect(() => readTree({}, 'test')).toThrow(FormatError))
})

describe('a revision', () => {
  test.each([
    [{ cardData: { license: 'mit' } }, 'mit'],
    [{ cardData: { license: 'other', license_name: 'falcon-llm' } }, 'falcon-llm'],
    [{ tags: ['x', 'license:apache-2.0'] }, 'apache-2.0'],
    [{ cardData: { license: '\u001b[31mred' } }, undefined],
    [{ cardData: { license: ['mit'] }, tags: 'license:mit' }, undefined],
    [{}, undefined],
  ])('of %j has its licence', (facts, licence) => {
    expect(readRevision({ sha: COMMIT, ...facts }, 'test')).toEqual({
      commit: COMMIT,
      gated: false,
      licence,
    })
  })

  test('that is no commit is refused', () => {
    for (const sha of ['main', '../x', COMMIT.slice(1), 7, undefined]) {
      expect(() => readRevision({ sha }, 'test')).toThrow(FormatError)
    }
  })
})

test('the next page is taken from its header, and nothing else', () => {
  expect(nextPage('<https://a/b?cursor=x>; rel="next"')).toBe('https://a/b?cursor=x')
  for (const header of [null, '', '<x>; rel="prev"', 'rel="next"']) {
    expect(nextPage(header)).toBeUndefined()
  }
})

test('a path stays one in an address', () => {
  expect(resolvePath('o/n', COMMIT, 'a b/c?d#e.gguf')).toBe(
    `/o/n/resolve/${COMMIT}/a%20b/c%3Fd%23e.gguf`,
  )
})
