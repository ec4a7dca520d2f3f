/**
 * What the chat says, in each language it speaks: one table a language, all of one type.
 */
import type { Language } from '../../console/language.ts'
import { type ChatTexts, english } from './texts/english.ts'
import { japanese } from './texts/japanese.ts'

export const CHAT_TEXTS: Readonly<Record<Language, ChatTexts>> = { en: english, ja: japanese }
