/**
 * Requests from this machine: through the proxy of the environment, over connections of one client's own.
 */
import { Agent, EnvHttpProxyAgent, fetch } from 'undici'
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
    super(settings, pace, (url, init) => {
      const dispatcher = isWithoutProxy(url, noProxy) ? direct : proxied
      return fetch(url, { ...init, headers: { ...HEADERS, ...init.headers }, dispatcher })
    })
    this.#agents = [direct, proxied]
  }

  /** Ends open connections. */
  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.destroy()))
  }
}
