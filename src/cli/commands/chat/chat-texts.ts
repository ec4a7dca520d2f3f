/**
 * What the chat says, in each language it speaks: one table a language, all of one type.
 */
import type { Surroundings } from '../../console/surroundings.ts'
import { type ChatTexts, english } from './texts/english.ts'
import { japanese } from './texts/japanese.ts'

export const CHAT_TEXTS = { en: english, ja: japanese } as const satisfies Record<string, ChatTexts>

export type ChatLanguage = keyof typeof CHAT_TEXTS

export const CHAT_LANGUAGES = Object.keys(CHAT_TEXTS) as ChatLanguage[]

/** The language asked for, else the locale's, else English. */
export function chatTexts(language: ChatLanguage | undefined, env: Surroundings['env']): ChatTexts {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || ''
  const spoken = CHAT_LANGUAGES.find((name) => new RegExp(`^${name}([_.@-]|$)`, 'i').test(locale))
  return CHAT_TEXTS[language ?? spoken ?? 'en']
}
