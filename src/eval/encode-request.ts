/**
 * From texts to the tokens that are scored, by the rules of the evaluation harness (Gao et al.,
 * lm-evaluation-harness) or of the 1bitLLM authors' adaptor of it.
 *
 *   harness   White space at the context's end moves to the continuation. Context and continuation are
 *             encoded as one text; what comes after as many tokens as the context alone has is scored,
 *             behind the context's own tokens. Where a token spans the border, so that nothing would be
 *             left, the continuation is encoded by itself: the harness ends with an error there.
 *   split     Both are stripped; the context is encoded with special tokens, the continuation by itself
 *             without. SentencePiece then restores the space between them; a byte-level BPE loses it.
 */
import { describe } from '../checks.ts'
import { FormatError, UsageError } from '../errors.ts'
import { strip, stripEnd } from '../jinja/text.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import type { TokenSequence } from './score-plan.ts'

export const TOKENIZATION_RULES = ['harness', 'split'] as const
export type TokenizationRule = (typeof TOKENIZATION_RULES)[number]
/** `auto` does what the model's tokenizer does to a text. */
export const BOS_RULES = ['auto', 'always', 'never'] as const
export type BosRule = (typeof BOS_RULES)[number]

/** How a context and its continuation become ids. */
export interface EncodingRules {
  readonly tokenization: TokenizationRule
  readonly bos: BosRule
}

/** Encodes text with the begin token by the rule. */
function encodeWithBos(tokenizer: TextTokenizer, text: string, bos: BosRule): number[] {
  if (bos === 'auto') return tokenizer.encode(text)
  const ids = tokenizer.encode(text, { addBos: false })
  return bos === 'always' ? [bosOf(tokenizer), ...ids] : ids
}

function bosOf({ bosId }: TextTokenizer): number {
  if (bosId !== undefined) return bosId
  throw new UsageError(
    'Expected a begin token for --bos always, but this model has none. Use auto or never.',
  )
}

/** What stands before a text that has no context: the begin token, else one that ends a text. */
export function prefixToken(tokenizer: TextTokenizer): number {
  const id = tokenizer.bosId ?? tokenizer.stopIds.at(0)
  if (id !== undefined) return id
  throw new UsageError(
    'Expected a begin or an end token to put before a text without context; this model has neither.',
  )
}

/**
 * The tokens of one request, cut on the left to what the context holds. At least one is scored.
 *
 * @param contextLength most rows of a sequence
 * @throws FormatError if the continuation has no token
 */
export function encodeRequest(
  tokenizer: TextTokenizer,
  request: { readonly context: string; readonly continuation: string },
  rules: EncodingRules,
  contextLength: number,
): TokenSequence {
  const [before, scored] = encodeParts(tokenizer, request, rules)
  const context = before.length > 0 ? before : [prefixToken(tokenizer)]
  if (scored.length === 0) {
    throw new FormatError(
      `Expected a continuation with a token to score, got ${describe(request.continuation)} after ` +
        `"...${request.context.slice(-40)}". Leave this item out of the dataset.`,
      { field: 'continuation' },
    )
  }
  const tokens = [...context, ...scored].slice(-(contextLength + 1))
  return { tokens, firstTarget: Math.max(1, tokens.length - scored.length) }
}

function encodeParts(
  tokenizer: TextTokenizer,
  { context, continuation }: { readonly context: string; readonly continuation: string },
  { tokenization, bos }: EncodingRules,
): [context: number[], continuation: number[]] {
  const plain = (text: string) => tokenizer.encode(text, { addBos: false })
  if (context === '') return [[], plain(continuation)]
  if (tokenization === 'split') {
    return [encodeWithBos(tokenizer, strip(context), bos), plain(strip(continuation))]
  }
  const kept = stripEnd(context)
  const before = encodeWithBos(tokenizer, kept, bos)
  const scored = encodeWithBos(tokenizer, context + continuation, bos).slice(before.length)
  if (scored.length > 0) return [before, scored]
  return [before, plain(context.slice(kept.length) + continuation)]
}

/**
 * Windows over a long text: each scores `stride` tokens and sees at most `window` tokens, itself
 * included, as context; the first scores as many as it can. With stride = window they do not overlap
 * and the last one looks back as far as it may, which is the harness's rolling log-likelihood.
 *
 * @param tokens the text behind its first token, which is not scored
 */
export function rollingWindows(
  tokens: readonly number[],
  window: number,
  stride: number,
): TokenSequence[] {
  const windows: TokenSequence[] = []
  for (let from = 1; from < tokens.length; ) {
    const end = Math.min(tokens.length, from + (from === 1 ? window : stride))
    const start = Math.max(0, end - 1 - window)
    windows.push({ tokens: tokens.slice(start, end), firstTarget: from - start })
    from = end
  }
  return windows
}
