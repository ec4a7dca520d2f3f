/**
 * /set: the sampling options of a conversation, by the table that the flags come from.
 */
import type { LanguageModel } from '../../../generate/language-model.ts'
import { DEFAULT_MAX_TOKENS } from '../../../generate/validate-options.ts'
import {
  SAMPLING_OPTIONS,
  type SamplingFlags,
  type SamplingName,
} from '../../flags/generation-flags.ts'
import type { ChatTexts } from './texts/english.ts'

/** What gives an option back to the model. */
const UNSET = 'default'

const NAMES = Object.keys(SAMPLING_OPTIONS) as SamplingName[]

/** "top-k": as the flag has it. */
function spellingOf(name: SamplingName): string {
  return (/--([a-z-]+)/.exec(SAMPLING_OPTIONS[name].flag) as RegExpExecArray)[1]
}

export const SETTING_NAMES: readonly string[] = NAMES.map(spellingOf)

/** The option of a name: "top-k", "topK" and "top_k" alike. */
function findOption(text: string): SamplingName | undefined {
  const plain = text.replace(/[-_]/g, '').toLowerCase()
  return NAMES.find((name) => name.toLowerCase() === plain)
}

/** The settings after a line behind /set, and what is to be said of it. */
export function changeSetting(
  line: string,
  settings: SamplingFlags,
  model: LanguageModel,
  texts: ChatTexts,
): { settings: SamplingFlags; said: string } {
  if (line === '') return { settings, said: describeSettings(settings, model, texts) }
  const [, word, written] = /^([^\s=＝]+)[\s=＝]*(.*)$/su.exec(line) ?? ['', line, '']
  const name = findOption(word.normalize('NFKC'))
  if (name === undefined) {
    return { settings, said: texts.noSetting(word, SETTING_NAMES.join(', ')) }
  }
  const value = name === 'stop' ? unquoted(written) : written.normalize('NFKC')
  const spelling = spellingOf(name)
  if (value === '') return { settings, said: texts.needsValue(spelling) }
  const others = Object.fromEntries(Object.entries(settings).filter(([key]) => key !== name))
  if (value.toLowerCase() === UNSET) {
    const said = texts.set(spelling, shownValue(name, others, model, texts))
    return { settings: others, said }
  }
  try {
    const changed = { ...others, [name]: SAMPLING_OPTIONS[name].parse(value, undefined) }
    return { settings: changed, said: texts.set(spelling, shownValue(name, changed, model, texts)) }
  } catch (error) {
    return { settings, said: texts.badValue(spelling, value, texts.reason(error)) }
  }
}

/** A line for each option, with the value that counts. */
function describeSettings(settings: SamplingFlags, model: LanguageModel, texts: ChatTexts): string {
  const width = Math.max(...SETTING_NAMES.map((name) => name.length))
  const lines = NAMES.map((name) => {
    const value = shownValue(name, settings, model, texts)
    return `${spellingOf(name).padEnd(width)}  ${value}\n    ${texts.settings[name]}`
  })
  return [...lines, texts.settingsHint].join('\n')
}

function shownValue(
  name: SamplingName,
  settings: SamplingFlags,
  { defaults }: LanguageModel,
  texts: ChatTexts,
): string {
  const value = settings[name]
  if (Array.isArray(value)) return value.map((text) => JSON.stringify(text)).join(' ')
  if (value !== undefined) return String(value)
  if (name === 'seed') return texts.drawn
  if (name === 'stop') return texts.none
  return `${{ ...defaults, maxTokens: DEFAULT_MAX_TOKENS }[name]} (${texts.unset})`
}

/** Without quotes around it; a space or a line end can be said as "\n" then. */
export function unquoted(text: string): string {
  const inner = /^(["'])(.*)\1$/s.exec(text)?.[2]
  return (inner ?? text).replaceAll('\\n', '\n')
}
