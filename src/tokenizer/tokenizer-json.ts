/**
 * Parts of a tokenizer.json, checked as they are read, as the file may come from anywhere; and the parts
 * that say how byte-level BPE cuts and merges, as they are written.
 */
import { describe, isObject, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { BYTE_LEVEL, type Decoding } from './piece-bytes.ts'
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
 * Each merge is "left right" or ["left", "right"]; a file keeps to one form.
 *
 * @param model of a tokenizer.json
 * @throws FormatError naming `model.merges`
 */
export function checkMerges(model: JsonObject): void {
  // Unigram has none.
  if (model.type !== 'BPE') return
  const merges = asList(model.merges, 'model.merges')
  checkCount(merges.length, 'model.merges', MAX_MERGES)
  const arePairs = Array.isArray(merges[0])
  for (const [i, merge] of merges.entries()) {
    if (!arePairs) {
      checkPiece(merge, 'model.merges', i)
      continue
    }
    const pair = asList(merge, 'model.merges')
    checkPiece(pair[0], 'model.merges', i)
    checkPiece(pair[1], 'model.merges', i)
  }
}

/**
 * How pieces become text, from the decoder or, without one, from the pre-tokenizer.
 *
 * @throws FormatError naming `decoder`
 */
export function readDecoding(json: JsonObject): Decoding {
  const steps = stepsOf(json.decoder, 'decoders')
  const types = new Set(steps.map(({ type }) => type))
  const byteFallback = types.has('ByteFallback')
  if (steps.length === 0) {
    const isByteLevel = stepsOf(json.pre_tokenizer, 'pretokenizers').some(
      ({ type }) => type === 'ByteLevel',
    )
    return isByteLevel ? BYTE_LEVEL : { ...BYTE_LEVEL, notation: 'plain' }
  }
  if (types.has('ByteLevel')) return BYTE_LEVEL
  if (byteFallback || types.has('Metaspace')) {
    const dropLeadingSpace = steps.some(
      (step) =>
        (step.type === 'Strip' && step.content === ' ' && step.start === 1) ||
        (step.type === 'Metaspace' &&
          step.prepend_scheme !== 'never' &&
          step.add_prefix_space !== false),
    )
    return { notation: 'metaspace', byteFallback, dropLeadingSpace }
  }
  throw new FormatError(
    'Expected a decoder of type ByteLevel, ByteFallback or Metaspace in tokenizer.json, ' +
      `got ${[...types].map(describe).join(', ')}. Models of this library use one of these.`,
    { field: 'decoder' },
  )
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
export function splitStep(expression: string): JsonObject {
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
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  }
  return {
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits.map(splitStep), byteLevel] },
    model: bpeModel(null, false, { ignore_merges: ignoreMerges, vocab, merges }),
  }
}
