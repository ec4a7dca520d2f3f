/**
 * Requests from this machine: through the proxy of the environment, over connections of one client's own.
 */
import { Agent, EnvHttpProxyAgent, fetch } from 'undici'
import { UsageError } from '../../errors.ts'
import { HubClient } from '../../hub/download/hub-client.ts'
import type { Pace } from '../../hub/download/patience.ts'
import type { HubSettings } from './hub-settings.ts'
import { isWithoutProxy } from './no-proxy.ts'

const CONNECT_MS = 15_000

const HEADERS = {
  'User-Agent': 'bitnet-ts',
  // Compressed parts would have other offsets.
  'Accept-Encoding': 'identity',
}

export class NodeClient extends HubClient<HubSettings> {
  readonly #agents: readonly [direct: Agent, proxied: EnvHttpProxyAgent]

  constructor(settings: HubSettings, pace: Pace) {
    const timing = {
      connect: { timeout: CONNECT_MS },
      headersTimeout: pace.silenceMs,
      bodyTimeout: pace.silenceMs,
    }
    const direct = new Agent(timing)
    // An empty text keeps undici from reading this process's environment instead of the settings.
    const { httpProxy = '', httpsProxy = '', noProxy = '' } = settings
    const proxied = new EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy: '', ...timing })
    super(settings, pace, async (url, init) => {
      const dispatcher = isWithoutProxy(url, noProxy) ? direct : proxied
      try {
        return await fetch(url, { ...init, headers: { ...HEADERS, ...init.headers }, dispatcher })
      } catch (error) {
        throw missingProxy(error, settings) ?? error
      }
    })
    this.#agents = [direct, proxied]
  }

  /** Ends open connections. */
  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.destroy()))
  }
}

/** For a proxy that nobody knows: another attempt would not find it either. */
export function missingProxy(
  error: unknown,
  { httpProxy, httpsProxy }: Pick<HubSettings, 'httpProxy' | 'httpsProxy'>,
): UsageError | undefined {
  const { code, hostname } = ((error as Error).cause ?? {}) as { code?: string; hostname?: string }
  if (code !== 'ENOTFOUND') return undefined
  const proxies = { HTTPS_PROXY: httpsProxy, HTTP_PROXY: httpProxy }
  for (const [name, proxy] of Object.entries(proxies)) {
    if (proxy === undefined || new URL(proxy).hostname !== hostname) continue
    return new UsageError(
      `Expected ${name} to be the address of a proxy, but there is no host "${hostname}". Set it so, or ` +
        'unset it.',
    )
  }
  return undefined
}
