/**
 * What a text or an address names in a page: a model of the hub, or a file of a server or in memory.
 */
import { UsageError } from '../errors.ts'
import { type HubModel, parseModelName, type UrlModel } from '../hub/model-name.ts'

export type NamedModel = HubModel | UrlModel

/**
 * @param text an address, relative to the page; "owner/name", an alias or "hf:owner/name:file@revision"
 * @throws UsageError for what is none of them
 */
export function namedModel(text: string): NamedModel {
  const model = parseModelName(text)
  if (model?.kind === 'hub') return model
  const base = globalThis.location?.href
  if (URL.canParse(text, base)) return { kind: 'url', url: new URL(text, base).href }
  throw new UsageError(`Expected the address of a model, got "${text}".`)
}

/** Whether it is on a server: what is in memory (blob:, data:) has no parts and is not kept. */
export function isRemote(model: NamedModel): boolean {
  return model.kind === 'hub' || /^https?:/.test(model.url)
}
