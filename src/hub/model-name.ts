/**
 * How models are named: `owner/repo`, `hf:owner/repo[:file][@revision]`, a short alias with the same
 * endings, or an address. Paths are not known here; who resolves a name looks for them first.
 */
import { UsageError } from '../errors.ts'
import { findAlias } from './aliases.ts'
import { isSafePath } from './repo-file.ts'

/** A model in a repository of the hub. */
export interface HubModel {
  readonly kind: 'hub'
  /** "owner/name" */
  readonly repo: string
  /** One file of it; unset: chosen from what is there. */
  readonly file?: string | undefined
  /** Branch, tag or commit; unset: "main". */
  readonly revision?: string | undefined
}

/** One file on any server. */
export interface UrlModel {
  readonly kind: 'url'
  readonly url: string
}

/** The hub's addresses by themselves name models, too. */
const HUB_HOSTS: readonly string[] = ['huggingface.co', 'www.huggingface.co', 'hf.co']

/** Pages of the hub that look like a repository's. */
const NO_OWNERS: readonly string[] = [
  ...['api', 'blog', 'collections', 'datasets', 'docs', 'join', 'learn', 'login', 'models', 'new'],
  ...['organizations', 'papers', 'posts', 'pricing', 'search', 'settings', 'spaces', 'tasks'],
]
const OWNER_AND_NAME = /^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}$/
/** A branch, tag or commit; "refs/pr/1" too. */
const REVISION = /^\w[\w.-]*(\/\w[\w.-]*){0,4}$/
const MODEL_FILE = /\.(gguf|safetensors)$/

/**
 * What a name means away from this machine; undefined if it can only be a path.
 *
 * @param endpoint the hub in use, for addresses of models at it
 * @throws UsageError if it is clearly meant for the hub, but has no legal form
 */
export function parseModelName(text: string, endpoint?: string): HubModel | UrlModel | undefined {
  if (/^https?:\/\//i.test(text)) return parseAddress(text, endpoint)
  const isExplicit = text.startsWith('hf:')
  const { head, file, revision } = splitName(isExplicit ? text.slice(3) : text)
  const repo = findAlias(head)?.repo ?? head
  const isLegal =
    isRepoName(repo) &&
    (file === undefined || isSafePath(file)) &&
    (revision === undefined || isRevision(revision))
  if (!isLegal) {
    if (!isExplicit) return undefined
    throw new UsageError(
      `Expected hf:owner/name, hf:owner/name:file or either with @revision, got "${text}".`,
    )
  }
  // "folder/model.gguf" is a path, there or not; a repository of such a name needs "hf:".
  if (!isExplicit && file === undefined && MODEL_FILE.test(repo)) return undefined
  return { kind: 'hub', repo, file, revision }
}

/** How the model is named in messages and lists. */
export function formatModelName(model: HubModel | UrlModel): string {
  if (model.kind === 'url') return model.url
  const file = model.file === undefined ? '' : `:${model.file}`
  return `${model.repo}${file}${model.revision === undefined ? '' : `@${model.revision}`}`
}

/** True for "owner/name" that cannot lead out of a folder, as a part of a path. */
export function isRepoName(text: string): boolean {
  return OWNER_AND_NAME.test(text) && !text.includes('..')
}

/** True for a name that cannot lead out of a folder, as a part of a path. */
function isRevision(text: string): boolean {
  return text.length <= 200 && REVISION.test(text) && !text.includes('..')
}

function splitName(text: string) {
  const at = text.lastIndexOf('@')
  const name = at < 0 ? text : text.slice(0, at)
  const colon = name.indexOf(':')
  return {
    head: colon < 0 ? name : name.slice(0, colon),
    file: colon < 0 ? undefined : name.slice(colon + 1),
    revision: at < 0 ? undefined : text.slice(at + 1),
  }
}

/**
 * Addresses of a repository or of a file in it name a model at the hub; all others a file, which at the hub
 * must be called one.
 *
 * @throws UsageError for another page of the hub, which is no model
 */
function parseAddress(text: string, endpoint: string | undefined): HubModel | UrlModel {
  if (!URL.canParse(text)) throw new UsageError(`Expected the address of a model, got "${text}".`)
  const url = new URL(text)
  if (hasSecret(url)) {
    throw new UsageError(
      `Expected an address without a name and a password in it, got one of ${url.host}. They would be kept ` +
        'with the model; fetch the file by other means and give its path.',
    )
  }
  url.hash = ''
  const file: UrlModel = { kind: 'url', url: url.href }
  const hosts = [...HUB_HOSTS, ...(endpoint === undefined ? [] : [new URL(endpoint).host])]
  if (!hosts.includes(url.host)) return file
  const [owner = '', name = '', verb, revision, ...rest] = url.pathname
    .replace(/^\/|\/$/g, '')
    .split('/')
  const repo = `${owner}/${name}`
  const isRepo = isRepoName(repo) && !NO_OWNERS.includes(owner)
  const isFile = MODEL_FILE.test(url.pathname)
  if (isRepo && verb === undefined && !isFile) return { kind: 'hub', repo }
  const isVerb = verb !== undefined && ['blob', 'resolve', 'raw', 'tree', 'commit'].includes(verb)
  if (isRepo && isVerb && revision !== undefined) {
    const path = unescaped(rest.join('/'), text)
    const branch = unescaped(revision, text)
    if (isRevision(branch) && (path === '' || isSafePath(path))) {
      return { kind: 'hub', repo, file: path || undefined, revision: branch }
    }
    return file
  }
  if (isFile) return file
  throw new UsageError(
    `Expected the address of a repository (${url.origin}/owner/name) or of a .gguf or .safetensors file, ` +
      `got the page ${text}.`,
  )
}

/** Requests do not carry what stands before "@" in an address. */
export function hasSecret({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}

/** @throws UsageError if "%" is not followed by the bytes of a character */
function unescaped(part: string, address: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new UsageError(`Expected an address with whole escapes such as %20, got "${address}".`)
  }
}
