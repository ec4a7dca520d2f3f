/**
 * What a kept model consists of, as it is written beside its files. Files lie under names made of what is in
 * them, so that no name of a server's becomes one here, and two versions never share a file.
 */
import { isObject, isWhole } from '../../checks.ts'
import { parseObject } from '../../formats/json-text.ts'
import { isCommit, isSafePath } from '../../hub/repo-file.ts'

export const FACTS_FILE = 'model.json'

export interface KeptFile {
  /** In its repository, or the last name of its address. */
  readonly path: string
  readonly bytes: number
  /** Its name in the model's folder: hexadecimal. */
  readonly stored: string
}

export interface KeptFacts {
  /** "owner/name" with what else was named, or an address. */
  readonly name: string
  /** Undefined for an address. */
  readonly commit: string | undefined
  /** The file to open; undefined: the folder as a whole is the model. */
  readonly main: string | undefined
  readonly files: readonly KeptFile[]
}

export function writeFacts(facts: KeptFacts): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(facts))
}

/** Undefined for what this version does not write. */
export function readFacts(text: string): KeptFacts | undefined {
  const { name, commit, main, files } = parseObject(text) ?? {}
  if (typeof name !== 'string' || !Array.isArray(files)) return undefined
  if (commit !== undefined && !(typeof commit === 'string' && isCommit(commit))) return undefined
  if (main !== undefined && typeof main !== 'string') return undefined
  if (!files.every(isKeptFile)) return undefined
  return { name, commit, main, files }
}

function isKeptFile(value: unknown): value is KeptFile {
  if (!isObject(value)) return false
  const { path, bytes, stored } = value
  const isNamed = typeof path === 'string' && isSafePath(path)
  return isNamed && isWhole(bytes) && typeof stored === 'string' && /^[0-9a-f]{40,64}$/.test(stored)
}

/** A name for what a text says, in hexadecimal. */
export async function nameFor(text: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
