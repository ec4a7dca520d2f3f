/**
 * What a refusal of the hub means, in plain words, and what to do about it. The hub tells the kind in
 * `X-Error-Code`, and hides repositories that one may not see behind the same answer as missing ones.
 */
import { type BitnetError, DownloadError, ModelNotFoundError } from '../errors.ts'
import type { HubModel } from './model-name.ts'

export interface Refusal {
  readonly status: number
  readonly url: string
  /** `X-Error-Code` */
  readonly code: string | null
  /** `X-Error-Message` */
  readonly message: string | null
  /** The wait it asks for (Retry-After), if it does. */
  readonly retryAfterMs: number | undefined
}

/** Longer texts of a server are cut; they go to people's terminals. */
const MAX_REASON_CHARS = 300

/** @param hasToken whether a token was sent along */
export function explainRefusal(
  refusal: Refusal,
  model: HubModel,
  endpoint: string,
  hasToken: boolean,
): BitnetError {
  const { status, url, code } = refusal
  const { repo, revision = 'main', file } = model
  const page = `${endpoint}/${repo}`
  const says = reasonOf(refusal)
  const refused = (text: string) => new DownloadError(text, { url, status })
  const missing = (source: string, text: string) => new ModelNotFoundError(text, { source })
  if (code === 'GatedRepo' || (status === 403 && code === null)) {
    const token = hasToken
      ? 'with the account whose token is in use (HF_TOKEN)'
      : 'and set HF_TOKEN to a token of that account'
    return refused(
      `The owners of ${repo} hand it out to people who accepted their terms.${says} ` +
        `Accept them at ${page} ${token}.`,
    )
  }
  if (code === 'RevisionNotFound') {
    return missing(
      `${repo}@${revision}`,
      `Expected a branch, tag or commit "${revision}" in ${repo}, which has none of that name. ` +
        `See ${page}/tree/main for those it has.`,
    )
  }
  if (code === 'EntryNotFound') {
    return missing(
      `${repo}:${file ?? ''}`,
      `Expected the file ${file ?? 'of the model'} in ${repo} at ${revision}, which has none of ` +
        `that name. See ${page}/tree/${revision}.`,
    )
  }
  if (status === 401 && hasToken && code !== 'RepoNotFound') {
    return refused(
      `The hub at ${endpoint} refuses the token in use.${says} Check HF_TOKEN, or unset it for ` +
        'public models.',
    )
  }
  if (status === 401 || status === 404) {
    const token = hasToken ? 'that the token in use may read it' : 'set HF_TOKEN if it is private'
    return missing(
      repo,
      `Expected a repository ${repo} at ${endpoint}; there is none, or it is private.${says} ` +
        `Check the spelling at ${page}, and ${token}.`,
    )
  }
  return explainStatus(refusal)
}

/** For any server. */
export function explainStatus(refusal: Refusal): DownloadError {
  const { status, url } = refusal
  const says = reasonOf(refusal)
  const advice =
    status === 429
      ? 'It asks for fewer requests; wait some minutes, or set HF_TOKEN for a higher limit.'
      : status >= 500
        ? 'The fault is on its side; try again later. What has been fetched is kept.'
        : 'Check the address.'
  return new DownloadError(`Expected ${url}, but the server answered ${status}.${says} ${advice}`, {
    url,
    status,
  })
}

function reasonOf({ message }: Refusal): string {
  if (message === null || message.trim() === '') return ''
  const printable = message.replace(/\p{C}+/gu, ' ').trim()
  const short = printable.slice(0, MAX_REASON_CHARS)
  return ` The server says: ${short}${/[.!?]$/.test(short) ? '' : '.'}`
}
