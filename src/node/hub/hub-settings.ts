/**
 * What the environment says about the hub, by the variables that Hugging Face's own tools read, so
 * that both share one cache and one token.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { hasSecret } from '../../hub/model-name.ts'
import { type Environment, expandPath } from '../files/folders.ts'
import { textOf } from '../files/system.ts'

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
  const folder = (...names: string[]) => {
    const set = names.map((name) => env[name]).find((value) => value)
    return set === undefined ? undefined : expandPath(set, env)
  }
  const caches = folder('XDG_CACHE_HOME') ?? join(homedir(), '.cache')
  const home = folder('HF_HOME') ?? join(caches, 'huggingface')
  return {
    cacheFolder: folder('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'),
    endpoint: readEndpoint(env['HF_ENDPOINT']),
    token: await readToken(env, folder('HF_TOKEN_PATH') ?? join(home, 'token')),
    offline: /^(1|true|yes|on)$/i.test(env['HF_HUB_OFFLINE'] || env['TRANSFORMERS_OFFLINE'] || ''),
    httpProxy: readProxy(env, 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'),
    httpsProxy: readProxy(env, 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'),
    noProxy: env['no_proxy'] || env['NO_PROXY'] || undefined,
  }
}

/** A proxy is spoken to by HTTP; one without a scheme is taken to be meant so, as by curl. */
function readProxy(env: Environment, ...names: readonly string[]): string | undefined {
  const name = names.find((one) => env[one]) ?? ''
  const text = env[name]?.trim()
  if (!text) return undefined
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && hasWholeEscapes(url)) return address
  throw new UsageError(
    `Expected ${name} to be the address of a proxy such as http://proxy.example:3128, got ` +
      `"${withoutSecret(text)}". Set it so, or unset it.`,
  )
}

function withoutSecret(address: string): string {
  return address.replace(/\/\/[^/@]*@/, '//...@')
}

/** Name and password of a proxy are sent as what their escapes stand for. */
function hasWholeEscapes({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}

function readEndpoint(text = ''): string {
  if (text === '') return 'https://huggingface.co'
  const isWeb = /^https?:\/\//i.test(text) && URL.canParse(text)
  if (isWeb && !hasSecret(new URL(text))) return text.replace(/\/+$/, '')
  const name = 'an address such as https://huggingface.co, without a name and a password in it'
  throw new UsageError(`Expected HF_ENDPOINT to be ${name}, got "${withoutSecret(text)}".`)
}

/** A header cannot hold control characters; a token never has spaces. */
async function readToken(env: Environment, path: string): Promise<string | undefined> {
  const text = env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'] || (await textOf(path))
  const token = text.trim()
  if (token === '') return undefined
  if (/^[\x21-\x7e]{1,1000}$/.test(token)) return token
  throw new UsageError(
    'Expected the token in HF_TOKEN or the file beside the cache to be one word of ASCII ' +
      'characters, got something else. Copy it again from the hub.',
  )
}
