/**
 * What a person sees first: who talks, what it is good for, what to ask, and how to get a better one.
 */
import type { LanguageModel } from '../../../generate/language-model.ts'
import { findAlias, type ModelAlias } from '../../../hub/aliases.ts'
import { DEFAULT_MODEL, isEmbedded } from '../../../node/resolve-model.ts'
import { formatBytes } from '../../console/quantities.ts'
import type { ChatTexts } from './texts/english.ts'

/** The smallest model that answers questions well, and the bytes it takes with its whole context. */
const CAPABLE = { name: 'bitnet-2b', memory: 1.5e9 }

/** Lines for the screen; `openings` are messages that a number stands for. */
export interface Banner {
  readonly lines: readonly string[]
  readonly openings: readonly string[]
}

/** @param source what the flags name; unset: the embedded model */
export function bannerOf(
  model: LanguageModel,
  source: string | undefined,
  texts: ChatTexts,
): Banner {
  const { ternaryBytes, denseBytes } = model.memory
  if (!isEmbedded(source)) {
    const size = formatBytes(ternaryBytes + denseBytes)
    const about = texts.other(model.name, size, model.contextLength)
    return { lines: [about, texts.hint], openings: [] }
  }
  const { openings } = texts
  const capable = findAlias(CAPABLE.name) as ModelAlias
  const download = formatBytes(capable.bytes as number)
  const lines = [
    texts.embedded(DEFAULT_MODEL),
    texts.capable(capable, download, formatBytes(CAPABLE.memory)),
    '',
    texts.tryThese,
    ...openings.map((text, i) => `  ${i + 1}  ${text}`),
    '',
    texts.hint,
  ]
  return { lines, openings }
}

/** The opening that a line asks for by its number, in whatever width. */
export function openingOf(line: string, openings: readonly string[]): string | undefined {
  const number = line.normalize('NFKC').trim()
  return /^[1-9]$/.test(number) ? openings[Number(number) - 1] : undefined
}
