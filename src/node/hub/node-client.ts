/**
 * Requests from this machine: through the proxy of the environment, over connections of one client's own.
 */
import { EnvHttpProxyAgent, fetch } from 'undici'
import { HubClient } from '../../hub/download/hub-client.ts'
import type { Pace } from '../../hub/download/patience.ts'
import type { HubSettings } from './hub-settings.ts'

const CONNECT_MS = 15_000

const HEADERS = {
  'User-Agent': 'bitnet-ts',
  // Compressed parts would have other offsets.
  'Accept-Encoding': 'identity',
}

export class NodeClient extends HubClient<HubSettings> {
  readonly #dispatcher: EnvHttpProxyAgent

  constructor(settings: HubSettings, pace: Pace) {
    // An empty text keeps undici from reading this process's environment instead of the settings.
    const dispatcher = new EnvHttpProxyAgent({
      httpProxy: settings.httpProxy ?? '',
      httpsProxy: settings.httpsProxy ?? '',
      noProxy: settings.noProxy ?? '',
      connect: { timeout: CONNECT_MS },
      headersTimeout: pace.silenceMs,
      bodyTimeout: pace.silenceMs,
    })
    super(settings, pace, (url, init) =>
      fetch(url, { ...init, headers: { ...HEADERS, ...init.headers }, dispatcher }),
    )
    this.#dispatcher = dispatcher
  }

  /** Ends open connections. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }
}
