/** API keys from a file's text and from the environment. */
import { UsageError } from '../../errors.ts'
import type { ApiKey } from '../../server/options.ts'

/** Shorter ones can be guessed. */
const LEAST_CHARS = 16
const PRIORITY = /^priority=(-?\d{1,3})$/

/**
 * Keys: a line each in a file, "name KEY", "name KEY priority=1" or "KEY", blank lines and # left out; and
 * BITNET_API_KEYS, separated by commas.
 *
 * @throws UsageError if a key is too short to be one
 */
export function readKeys(
  file: { readonly path: string; readonly text: string } | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ApiKey[] {
  const keys: ApiKey[] = []
  const add = (text: string, where: string): void => {
    const words = text.trim().split(/\s+/)
    const priority = PRIORITY.exec(words.at(-1) ?? '')?.[1]
    if (priority !== undefined) words.pop()
    const key = words.at(-1) ?? ''
    if (words.length > 2 || key.length < LEAST_CHARS) {
      throw new UsageError(
        `Expected a key of at least ${LEAST_CHARS} characters, or a name and a key, in ${where}; behind them ` +
          'priority=NUMBER where its requests are to go first.',
      )
    }
    const name = words.length === 2 ? words[0] : `key-${keys.length + 1}`
    keys.push({ key, name, ...(priority === undefined ? {} : { priority: Number(priority) }) })
  }
  for (const [i, line] of file?.text.split(/\r?\n/).entries() ?? []) {
    const bare = line.replace(/(?:^|\s)#.*$/, '')
    if (bare.trim() !== '') add(bare, `line ${i + 1} of ${file?.path}`)
  }
  for (const key of (env.BITNET_API_KEYS ?? '').split(',')) {
    if (key.trim() !== '') add(key, 'BITNET_API_KEYS')
  }
  return keys
}
