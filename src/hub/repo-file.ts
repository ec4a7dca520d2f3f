/**
 * What the hub's API tells about a repository, read from JSON that is not trusted: file names become
 * paths on this machine, hashes become file names there, and sizes become reservations on a disk.
 * The forms are those of `/api/models/{repo}/revision/{revision}` and `/api/models/{repo}/tree/{commit}`.
 */
import { isObject, isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'

export interface Repository {
  readonly type: 'models' | 'datasets'
  /** "owner/name" */
  readonly repo: string
}

/** How a file's content is known before it is fetched. */
export interface ContentHash {
  /** `git-sha1`: of "blob <size>\0" and the content, as git names small files. */
  readonly algorithm: 'sha256' | 'git-sha1'
  /** Lower-case hexadecimal. */
  readonly hex: string
}

export interface RepoFile {
  /** Relative, with "/" between folders; never leads out of the repository. */
  readonly path: string
  readonly size: number
  readonly hash: ContentHash
}

export interface RepoRevision {
  /** 40 hexadecimal digits. */
  readonly commit: string
  /** Whether its owners ask for consent before they hand files out. */
  readonly gated: boolean
  /** As its page states it, e.g. "mit"; undefined where it does not. */
  readonly licence: string | undefined
}

/** More than any model's files; the largest on the hub are under 10^12 bytes. */
const MAX_FILE_BYTES = 2 ** 44
const MAX_PATH_CHARS = 400
/** A licence's name goes to people's terminals. */
const LICENCE = /^[\w][\w .,()+-]{0,79}$/
/** Names that Windows reserves, whatever ending follows. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/**
 * True for a relative path of plain names: no "..", no empty or hidden-device names, no backslash,
 * colon or control character, which some system would take as leading elsewhere.
 */
export function isSafePath(path: string): boolean {
  if (path === '' || path.length > MAX_PATH_CHARS) return false
  return path.split('/').every(isSafeName)
}

function isSafeName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.length > 200) return false
  for (const character of name) {
    if (character < ' ' || character === '\u007f' || '\\:*?"<>|'.includes(character)) return false
  }
  return !RESERVED.test(name) && !/[. ]$/.test(name)
}

/** @throws FormatError unless it names a commit */
export function readRevision(value: unknown, source: string): RepoRevision {
  check(isObject(value), 'answer', 'an object', value, source)
  const { sha, gated, cardData, tags } = value
  check(isHex(sha, 40), 'sha', 'a commit', sha, source)
  const licence = readLicence(cardData, tags)
  return { commit: sha, gated: gated !== undefined && gated !== false, licence }
}

/** From the model card's header, or from what the hub made of it. */
function readLicence(card: unknown, tags: unknown): string | undefined {
  const fields = isObject(card) ? [card['license_name'], card['license']] : []
  const tag = Array.isArray(tags)
    ? tags.find((one): one is string => typeof one === 'string' && one.startsWith('license:'))
    : undefined
  const stated = [...fields, tag?.slice('license:'.length)]
  return stated.find((one): one is string => typeof one === 'string' && LICENCE.test(one))
}

export function isCommit(text: string): boolean {
  return isHex(text, 40)
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value)
}

/**
 * The files of one page of a tree. Names that cannot be a file's path here are left out: a model does
 * not need them, and somebody may have put them there on purpose.
 *
 * @throws FormatError if an entry makes no sense
 */
export function readTree(value: unknown, source: string): RepoFile[] {
  check(Array.isArray(value), 'tree', 'a list', value, source)
  return value.flatMap((entry: unknown): RepoFile[] => {
    check(isObject(entry), 'answer', 'an object', entry, source)
    const { type, path, lfs } = entry
    if (type !== 'file') return []
    check(typeof path === 'string', 'path', 'a text', path, source)
    if (!isSafePath(path)) return []
    const big = lfs ?? undefined
    const facts = big ?? entry
    check(isObject(facts), 'answer', 'an object', facts, source)
    const { oid, size } = facts
    const digits = big === undefined ? 40 : 64
    check(isHex(oid, digits), 'oid', `${digits} hexadecimal digits`, oid, source)
    const legalSize = `a number of bytes up to ${MAX_FILE_BYTES}`
    check(isWhole(size, 0, MAX_FILE_BYTES), 'size', legalSize, size, source)
    const algorithm = big === undefined ? 'git-sha1' : 'sha256'
    return [{ path, size, hash: { algorithm, hex: oid } }]
  })
}

/** The address of the next page, from `Link: <...>; rel="next"`. */
export function nextPage(link: string | null): string | undefined {
  return /<([^<>]{1,4000})>\s*;\s*rel="next"/.exec(link ?? '')?.[1]
}

/** Where a repository is below the endpoint: datasets have a folder of their own there. */
export function repoPath({ type, repo }: Repository): string {
  return type === 'models' ? repo : `${type}/${repo}`
}

/** `/owner/name/resolve/commit/path`, below the endpoint. */
export function resolvePath(repo: string, commit: string, file: string): string {
  return `/${repo}/resolve/${commit}/${encodePath(file)}`
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** @throws FormatError unless what the hub says of a field is right */
function check(
  isRight: boolean,
  field: string,
  expected: string,
  value: unknown,
  source: string,
): asserts isRight {
  if (isRight) return
  const got = typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : typeof value
  throw new FormatError(
    `Expected ${field} in the answer of ${source} to be ${expected}, got ${got}. Something other ` +
      'than the hub may be answering there; check HF_ENDPOINT and the proxy.',
    { field, path: source },
  )
}
