/**
 * Parts of a tokenizer.json, checked as they are read, as the file may come from anywhere; and the parts
 * that say how byte-level BPE cuts and merges, as they are written.
 */
import { isObject, type JsonObject } from '../checks.ts'
import type { PreTokenizer } from './pre-tokenizers.ts'
import { checkCount, checkPiece, MAX_MERGES, wrongType } from './vocabulary-limits.ts'

/** @throws FormatError naming `field` unless the value is an object */
export function asObject(value: unknown, field: string): JsonObject {
  if (isObject(value)) return value
  throw wrongType(field, 'an object', value)
}

/** @throws FormatError naming `field` unless the value is a list */
export function asList(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw wrongType(field, 'a list', value)
}

/** The steps of a chain: a Sequence's members under `key`, or the one step there is. */
export function stepsOf(value: unknown, key: string): JsonObject[] {
  if (!isObject(value)) return []
  const members = value[key]
  return value.type === 'Sequence' && Array.isArray(members) ? members.filter(isObject) : [value]
}

/**
 * The merges of a model, each as a pair; written "left right" or ["left", "right"], and a file keeps to one
 * form.
 *
 * @throws FormatError naming `model.merges`
 */
export function readMerges(model: JsonObject): (readonly [string, string])[] {
  const merges = asList(model.merges, 'model.merges')
  checkCount(merges.length, 'model.merges', MAX_MERGES)
  const arePairs = Array.isArray(merges[0])
  const pairs: (readonly [string, string])[] = []
  for (const [i, merge] of merges.entries()) {
    if (!arePairs && typeof merge === 'string' && merge.startsWith('#version')) continue
    const sides = arePairs
      ? asList(merge, 'model.merges')
      : checkPiece(merge, 'model.merges', i).split(' ')
    if (sides.length !== 2) {
      throw wrongType('model.merges', `a list of pairs, "left right" or ["left", "right"]`, merge)
    }
    const [left, right] = sides
    pairs.push([checkPiece(left, 'model.merges', i), checkPiece(right, 'model.merges', i)])
  }
  return pairs
}

/** Ids of the special tokens in front of the text in a TemplateProcessing. */
export function readFirstSpecials(value: unknown): number[] {
  const ids: number[] = []
  for (const step of stepsOf(value, 'processors')) {
    if (step.type !== 'TemplateProcessing' || !Array.isArray(step.single)) continue
    for (const item of step.single) {
      const name = item?.SpecialToken?.id
      if (typeof name !== 'string') break
      const id = specialId(step, name)
      if (id !== undefined) ids.push(id)
    }
  }
  return ids
}

/** The special token at the end of a template that begins with, or has before it, the text. */
export function readLastSpecial(value: unknown): number | undefined {
  for (const step of stepsOf(value, 'processors')) {
    if (step.type !== 'TemplateProcessing' || !Array.isArray(step.single)) continue
    const hasText = step.single.some((item) => item?.SpecialToken === undefined)
    const name = step.single.at(-1)?.SpecialToken?.id
    if (hasText && typeof name === 'string') return specialId(step, name)
  }
  return undefined
}

function specialId(step: JsonObject, name: string): number | undefined {
  const special = (step.special_tokens as JsonObject | undefined)?.[name]
  const id = (special as { ids?: unknown[] } | undefined)?.ids?.[0]
  return typeof id === 'number' ? id : undefined
}

/** Cuts by an expression in Oniguruma's syntax; matches and what is between become pieces. */
function splitStep(expression: string): JsonObject {
  return { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false }
}

/** A BPE model without what no vocabulary here needs; `rest` has its vocabulary and merges. */
export function bpeModel(
  unknown: string | null | undefined,
  byteFallback: boolean,
  rest: JsonObject,
): JsonObject {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: unknown,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: byteFallback,
    byte_fallback: byteFallback,
    ...rest,
  }
}

/** A byte-level vocabulary's pre_tokenizer. */
export function byteLevelCuts(splits: readonly string[]): JsonObject {
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  }
  return { type: 'Sequence', pretokenizers: [...splits.map(splitStep), byteLevel] }
}

/**
 * How a byte-level vocabulary cuts and merges.
 *
 * @param vocab ids by piece
 */
export function byteLevelParts(
  vocab: Readonly<Record<string, number>>,
  merges: readonly string[],
  { splits, ignoreMerges }: PreTokenizer,
): { pre_tokenizer: JsonObject; model: JsonObject } {
  return {
    pre_tokenizer: byteLevelCuts(splits),
    model: bpeModel(null, false, { ignore_merges: ignoreMerges, vocab, merges }),
  }
}
