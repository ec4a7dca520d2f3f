/**
 * What the environment says about the hub, by the variables that Hugging Face's own tools read, so
 * that both share one cache and one token.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { textOf } from '../files/system.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface HubSettings {
  /** Holds `models--owner--name` folders. */
  readonly cacheFolder: string
  /** Without a slash at the end. */
  readonly endpoint: string
  readonly token: string | undefined
  /** Only what is cached may be used. */
  readonly offline: boolean
  readonly httpProxy: string | undefined
  readonly httpsProxy: string | undefined
  readonly noProxy: string | undefined
}

/** @throws UsageError if a variable has no legal value */
export async function readHubSettings(env: Environment = process.env): Promise<HubSettings> {
  const home =
    env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface')
  return {
    cacheFolder: env['HF_HUB_CACHE'] || join(home, 'hub'),
    endpoint: readEndpoint(env['HF_ENDPOINT']),
    token: await readToken(env, home),
    offline: /^(1|true|yes|on)$/i.test(env['HF_HUB_OFFLINE'] ?? ''),
    httpProxy: env['http_proxy'] || env['HTTP_PROXY'] || undefined,
    httpsProxy: env['https_proxy'] || env['HTTPS_PROXY'] || undefined,
    noProxy: env['no_proxy'] || env['NO_PROXY'] || undefined,
  }
}

function readEndpoint(text = ''): string {
  if (text === '') return 'https://huggingface.co'
  const isWeb = /^https?:\/\//i.test(text) && URL.canParse(text)
  if (isWeb) return text.replace(/\/+$/, '')
  throw new UsageError(
    `Expected HF_ENDPOINT to be an address such as https://huggingface.co, got "${text}".`,
  )
}

/** A header cannot hold control characters; a token never has spaces. */
async function readToken(env: Environment, home: string): Promise<string | undefined> {
  const path = env['HF_TOKEN_PATH'] || join(home, 'token')
  const text = env['HF_TOKEN'] || (await textOf(path))
  const token = text.trim()
  if (token === '') return undefined
  if (/^[\x21-\x7e]{1,1000}$/.test(token)) return token
  throw new UsageError(
    'Expected the token in HF_TOKEN or the file beside the cache to be one word of ASCII ' +
      'characters, got something else. Copy it again from the hub.',
  )
}
