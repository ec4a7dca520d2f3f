/**
 * The languages that commands with `--lang` speak.
 */
import type { Surroundings } from './surroundings.ts'

export const LANGUAGES = ['en', 'ja'] as const

export type Language = (typeof LANGUAGES)[number]

/** The language asked for, else the locale's, else English. */
export function languageOf(asked: Language | undefined, env: Surroundings['env']): Language {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || ''
  const spoken = LANGUAGES.find((name) => new RegExp(`^${name}([_.@-]|$)`, 'i').test(locale))
  return asked ?? spoken ?? 'en'
}

/** What a command line asks for before its flags are read. */
export function languageIn(args: readonly string[] = []): Language | undefined {
  const at = args.findIndex((arg) => /^--lang(=|$)/.test(arg))
  const asked = /^--lang=(.*)$/.exec(args[at] ?? '')?.[1] ?? args[at + 1]
  return at < 0 ? undefined : LANGUAGES.find((name) => name === asked)
}

export interface LanguageFlag {
  readonly lang?: Language
}
