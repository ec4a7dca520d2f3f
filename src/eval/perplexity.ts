/**
 * Perplexity of a model on a text: by tokens, words and bytes. Only those by words and bytes compare
 * models with different vocabularies.
 */
import { checkCounting } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  type OptionRules,
  oneOf,
  SIGNAL,
  SWITCH,
  TEXT,
} from '../option-checks.ts'
import type { Steps } from '../steps.ts'
import { takingTurns } from '../turns.ts'
import { BOS_RULES } from './encode-request.ts'
import { type LeftOut, textPerplexity, utf8Length } from './metrics.ts'
import { scoreGroups, withScoringModel } from './score-groups.ts'
import { type DocumentRules, documentsOf, paperDocuments } from './text-documents.ts'

export interface PerplexityOptions extends DocumentRules {
  /** Most tokens that a token's probability depends on. Unset: the model's context. */
  readonly window?: number | undefined
  /** Tokens scored a window, at most `window`; fewer give each more context. Unset: `window`. */
  readonly stride?: number | undefined
  /**
   * `bitnet-paper`: as the BitNet b1.58 authors measured. Each line that is not empty ends in the end
   * token; lines are packed into pieces of at most 2,048 tokens that start with the begin token, and
   * longer ones are left out.
   */
  readonly preset?: 'bitnet-paper' | undefined
  readonly onProgress?: ((progress: { tokens: number; totalTokens: number }) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PerplexityReport {
  readonly tokens: number
  readonly words: number
  readonly bytes: number
  readonly documents: number
  /** Lines that the preset left out. */
  readonly skippedLines: number
  readonly token_perplexity: number
  /** Absent where it is beyond a float64: see `left_out`. */
  readonly word_perplexity?: number
  readonly byte_perplexity: number
  readonly bits_per_byte: number
  /** Why a perplexity is absent, by its name. */
  readonly left_out?: LeftOut
  readonly window: number
  readonly stride: number
}

const PERPLEXITY_OPTIONS: OptionRules<PerplexityOptions> = {
  window: { ...COUNT, also: ['max_length', 'context_length', 'n_ctx', 'window_size'] },
  stride: COUNT,
  preset: oneOf(['bitnet-paper']),
  separator: TEXT,
  bos: { ...oneOf(BOS_RULES), also: ['add_bos', 'add_bos_token'] },
  scoreEnd: SWITCH,
  packed: SWITCH,
  chat: SWITCH,
  onProgress: FUNCTION,
  signal: SIGNAL,
}

/** Length of the authors' pieces. */
const PAPER_TOKENS = 2048

/**
 * Measures the perplexity of a text.
 *
 * @throws UsageError if the text is empty or an option is out of its range; the signal's reason
 */
export async function perplexity(
  model: LanguageModel,
  text: string,
  options: PerplexityOptions = {},
): Promise<PerplexityReport> {
  checkOptions('perplexity', options, PERPLEXITY_OPTIONS)
  const { contextLength } = model
  const isPaper = options.preset === 'bitnet-paper'
  if (isPaper && (options.packed || options.chat)) {
    throw new UsageError('Expected a preset or a packing of your own, got both. Leave one out.')
  }
  if (options.chat && options.bos !== undefined) {
    throw new UsageError(
      "Expected no rule for the begin token with chat: the model's template has it or not.",
    )
  }
  const window = options.window ?? contextLength
  checkCounting('window', window, contextLength)
  const stride = options.stride ?? window
  checkCounting('stride', stride, window)
  const steps = isPaper
    ? paperDocuments(model.tokenizer, text, Math.min(PAPER_TOKENS, contextLength))
    : documentsOf(model.tokenizer, text, options, window, stride)
  const documents = await takingTurns(steps, options.signal)
  if (documents.sequences.length === 0) {
    throw new UsageError('Expected a text with at least one token to score, got none.')
  }
  let logLikelihood = 0
  let tokens = 0
  await withScoringModel(model, options.signal, async (scoring, signal) => {
    const sums: number[] = []
    await scoreGroups(
      scoring,
      documents.sequences.map((sequence, key) => ({ key, sequences: [sequence] })),
      {
        signal,
        onGroup: (key, [score]) => {
          sums[key] = score.logLikelihood
          tokens += score.tokens
        },
        onRows: (done, total) => options.onProgress?.({ tokens: done, totalTokens: total }),
      },
    )
    // In the order of the text, whatever the order in which windows were done.
    for (const sum of sums) logLikelihood += sum
  })
  let bytes = 0
  for (const piece of documents.texts) bytes += utf8Length(piece)
  const words = await takingTurns(countWords(documents.texts), options.signal)
  return {
    ...{ tokens, words, bytes },
    documents: documents.documents,
    skippedLines: documents.skippedLines,
    token_perplexity: Math.exp(-logLikelihood / tokens),
    ...textPerplexity(logLikelihood, words, bytes),
    ...(isPaper ? { window: PAPER_TOKENS, stride: PAPER_TOKENS } : { window, stride }),
  }
}

/** Characters whose words are counted at once. */
const STRETCH = 1 << 16

/** Runs of what is no white space. */
function* countWords(texts: readonly string[]): Steps<number> {
  let count = 0
  for (const text of texts) {
    for (let from = 0; from < text.length; from += STRETCH) {
      count += text.slice(from, from + STRETCH).match(/\S+/g)?.length ?? 0
      // A word across the border is one.
      if (from > 0 && /^\S\S$/.test(text.slice(from - 1, from + 1))) count--
      yield
    }
  }
  return count
}
