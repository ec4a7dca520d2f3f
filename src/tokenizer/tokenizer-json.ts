/**
 * Parts of a tokenizer.json, checked as they are read, as the file may come from anywhere; and the parts
 * that say how byte-level BPE cuts and merges, as they are written.
 */
import { isObject, type JsonObject } from '../checks.ts'
import type { PreTokenizer } from './pre-tokenizers.ts'
import {
  checkCount,
  checkId,
  checkPiece,
  MAX_MERGES,
  MAX_PIECES,
  wrongType,
} from './vocabulary-limits.ts'

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

/** Pairs of pieces that are joined, the foremost first. */
export interface MergeList {
  /** As many as there are, or more. */
  readonly count: number
  readonly pairs: Iterable<readonly [left: string, right: string]>
}

/**
 * The merges of a model; written "left right" or ["left", "right"], and a file keeps to one form.
 *
 * @throws FormatError naming `model.merges`, also where the pairs are gone through
 */
export function readMerges(model: JsonObject): MergeList {
  const merges = asList(model.merges, 'model.merges')
  checkCount(merges.length, 'model.merges', MAX_MERGES)
  return { count: merges.length, pairs: pairsOf(merges) }
}

function* pairsOf(merges: readonly unknown[]): Generator<readonly [string, string]> {
  const arePairs = Array.isArray(merges[0])
  for (const [i, merge] of merges.entries()) {
    if (!arePairs && typeof merge === 'string' && merge.startsWith('#version')) continue
    const sides = arePairs
      ? asList(merge, 'model.merges')
      : checkPiece(merge, 'model.merges', i).split(' ')
    if (sides.length !== 2) {
      throw wrongType('model.merges', `a list of pairs, "left right" or ["left", "right"]`, merge)
    }
    const [left, right] = sides
    yield [checkPiece(left, 'model.merges', i), checkPiece(right, 'model.merges', i)]
  }
}

/** Tokens that a post_processor puts around a text. */
export interface Surroundings {
  readonly front: readonly number[]
  readonly back: readonly number[]
}

/**
 * What a post_processor makes of one text. The Rust library takes what one step has put there for texts of
 * their own in the next one; that is refused.
 *
 * @throws FormatError naming the step that does something else, or is damaged
 */
export function readSurroundings(value: unknown, depth = 0): Surroundings {
  if (depth > MAX_DEPTH) throw wrongType('post_processor', 'steps not far inside each other', value)
  const found = stepsOf(value, 'processors')
    .map((step) => surroundingsOf(step, depth))
    .filter(({ front, back }) => front.length + back.length > 0)
  if (found.length > 1) throw wrongType('post_processor', 'one step that adds tokens', 'several')
  return found[0] ?? { front: [], back: [] }
}

function surroundingsOf(step: JsonObject, depth: number): Surroundings {
  switch (step.type) {
    // It is about places of tokens in the text.
    case 'ByteLevel':
      return { front: [], back: [] }
    case 'Sequence':
      return readSurroundings(step, depth + 1)
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { front: [pairedId(step, 'cls')], back: [pairedId(step, 'sep')] }
    case 'TemplateProcessing':
      return templateOf(step)
    default:
      throw wrongType('post_processor', 'a TemplateProcessing or another known kind', step.type)
  }
}

/** ["[CLS]", 101] */
function pairedId(step: JsonObject, name: string): number {
  return checkId(asList(step[name], `post_processor ${name}`)[1], 'post_processor', MAX_PIECES)
}

function templateOf(step: JsonObject): Surroundings {
  const field = 'post_processor single'
  const ids = asList(step.single, field).map((item) => {
    const { SpecialToken: special, Sequence: sequence } = asObject(item, field)
    if (special !== undefined) return specialIds(step, asObject(special, field).id)
    if (asObject(sequence, field).id === 'A') return undefined
    throw wrongType(field, 'the text as Sequence A', 'another sequence')
  })
  const text = ids.indexOf(undefined)
  if (text < 0 || text !== ids.lastIndexOf(undefined)) {
    throw wrongType(field, 'the text once', text < 0 ? undefined : 'several')
  }
  const flat = (part: typeof ids) => part.flatMap((some) => some ?? [])
  return { front: flat(ids.slice(0, text)), back: flat(ids.slice(text + 1)) }
}

function specialIds(step: JsonObject, name: unknown): readonly number[] {
  const field = 'post_processor special_tokens'
  const all = asObject(step.special_tokens, field)
  const special = typeof name === 'string' && Object.hasOwn(all, name) ? all[name] : undefined
  const ids = asList(asObject(special, field).ids, field)
  checkCount(ids.length, field, MAX_SPECIALS)
  return ids.map((id) => checkId(id, field, MAX_PIECES))
}

/** Ids that one name in a template stands for. */
const MAX_SPECIALS = 16
/** Of Sequences within Sequences. */
const MAX_DEPTH = 8

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

/** Bytes as characters, and nothing cut. */
export const BYTE_LEVEL: JsonObject = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
}

/** A byte-level vocabulary's pre_tokenizer. */
export function byteLevelCuts(splits: readonly string[]): JsonObject {
  return { type: 'Sequence', pretokenizers: [...splits.map(splitStep), BYTE_LEVEL] }
}

/** An entry of added_tokens that is found as it stands. */
export function addedToken(id: number, content: string, special: boolean): JsonObject {
  return {
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false },
    special,
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
  return {
    pre_tokenizer: byteLevelCuts(splits),
    model: bpeModel(null, false, { ignore_merges: ignoreMerges, vocab, merges }),
  }
}
