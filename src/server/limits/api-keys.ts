/**
 * Who is asking. Keys are compared by their digests, all of them and in whole, so that the time it takes tells
 * nothing of how nearly a guess was right.
 */
import type { ApiKey } from '../options.ts'
import { Refusal } from '../refusal.ts'

/** Who asks. */
export interface Holder {
  readonly name: string
  readonly priority: number
  /** Whose part of a model its requests take; undefined: each has a part of its own. */
  readonly client: string | undefined
}

/** Who asks where no keys are asked for. */
export const ANYONE: Holder = { name: 'anyone', priority: 0, client: undefined }

export class KeyRing {
  readonly #entries: Promise<readonly (Holder & { readonly digest: Uint8Array })[]>
  readonly isOpen: boolean

  constructor(keys: readonly ApiKey[]) {
    this.isOpen = keys.length === 0
    this.#entries = Promise.all(
      keys.map(async ({ key, name, priority = 0 }) => ({
        name,
        priority,
        client: name,
        digest: await digestOf(key),
      })),
    )
  }

  /**
   * Whose key a request's Authorization header has.
   *
   * @throws Refusal (401) without one, or with one that is not known
   */
  async holderOf(authorization: string | undefined): Promise<Holder> {
    if (this.isOpen) return ANYONE
    const shown = /^Bearer +([^\s]{1,512})\s*$/i.exec(authorization ?? '')?.[1]
    const digest = await digestOf(shown ?? '')
    let found: Holder | undefined
    for (const entry of await this.#entries) {
      if (areEqual(entry.digest, digest)) found = entry
    }
    if (shown !== undefined && found !== undefined) return found
    throw new Refusal(
      401,
      'invalid_api_key',
      shown === undefined
        ? 'Expected an API key, got none. Send it as "Authorization: Bearer KEY".'
        : 'Expected an API key of this server, got another one. Ask whoever runs it.',
    )
  }
}

async function digestOf(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i]
  return difference === 0
}
