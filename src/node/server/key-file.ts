/** API keys from a file and from the environment. */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { ApiKey } from '../../server/options.ts'

/** Shorter ones can be guessed. */
const LEAST_CHARS = 16

/**
 * Keys: a line each in a file, "name KEY" or "KEY", blank lines and # left out; and BITNET_API_KEYS, separated
 * by commas.
 *
 * @throws UsageError if the file cannot be read, or a key is too short to be one
 */
export async function readKeys(
  path: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ApiKey[]> {
  const keys: ApiKey[] = []
  const add = (text: string, where: string): void => {
    const words = text.trim().split(/\s+/)
    const key = words.at(-1) ?? ''
    if (words.length > 2 || key.length < LEAST_CHARS) {
      throw new UsageError(
        `Expected a key of at least ${LEAST_CHARS} characters, or a name and a key, in ${where}.`,
      )
    }
    keys.push({ key, name: words.length === 2 ? words[0] : `key-${keys.length + 1}` })
  }
  if (path !== undefined) {
    const text = await readFile(path, 'utf8').catch((error) => {
      throw new UsageError(`Expected a file of keys at ${path}: ${messageOf(error)}.`)
    })
    for (const [i, line] of text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .entries()) {
      const bare = line.replace(/(?:^|\s)#.*$/, '')
      if (bare.trim() !== '') add(bare, `line ${i + 1} of ${path}`)
    }
  }
  for (const key of (env.BITNET_API_KEYS ?? '').split(',')) {
    if (key.trim() !== '') add(key, 'BITNET_API_KEYS')
  }
  return keys
}
