/**
 * Reads and checks what a tokenizer.json says about its vocabulary: pieces, added tokens, how to
 * decode. The file may come from anywhere, so each count, id and text is checked before use.
 */
import { describe, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { AddedToken } from './added-tokens.ts'
import {
  checkCount,
  checkId,
  checkPiece,
  MAX_ADDED_TOKENS,
  MAX_MERGES,
  MAX_PIECES,
} from './limits.ts'
import { type PieceNotation, Vocabulary } from './vocabulary.ts'

interface JsonVocabulary {
  readonly json: JsonObject
  readonly modelType: string
  readonly vocabulary: Vocabulary
  readonly addedTokens: readonly AddedToken[]
  readonly unknownId: number | undefined
  readonly dropLeadingSpace: boolean
  /** Special tokens that the post-processor puts in front of a text. */
  readonly firstSpecialIds: readonly number[]
  /** The one that it puts after a text. */
  readonly lastSpecialId: number | undefined
  idOf(piece: string): number | undefined
}

/** @throws FormatError naming the part that is damaged or not supported */
export function readTokenizerJson(value: unknown): JsonVocabulary {
  const json = asObject(value, 'tokenizer.json')
  const model = asObject(json.model, 'model')
  const modelType = typeof model.type === 'string' ? model.type : guessType(model)
  if (modelType !== 'BPE' && modelType !== 'Unigram') {
    throw new FormatError(
      `Expected a tokenizer.json of type BPE or Unigram, got ${modelType}. ` +
        'Models of this library use one of these.',
      { field: 'model.type' },
    )
  }
  const ids = modelType === 'BPE' ? readVocab(model) : readUnigramVocab(model)
  if (modelType === 'BPE') checkMerges(model.merges)
  const addedTokens = readAddedTokens(json.added_tokens)
  const literal = new Map(addedTokens.map(({ id, content }) => [id, content]))
  const pieces: (string | undefined)[] = []
  for (const [piece, id] of ids) pieces[id] = piece
  for (const [id, content] of literal) pieces[id] = content
  const decoding = readDecoding(json)
  const unknown = typeof model.unk_token === 'string' ? ids.get(model.unk_token) : model.unk_id
  return {
    json: { ...json, model: { ...model, type: modelType } },
    modelType,
    vocabulary: new Vocabulary(Array.from(pieces), { ...decoding, literal }),
    addedTokens,
    unknownId: typeof unknown === 'number' ? unknown : undefined,
    dropLeadingSpace: decoding.dropLeadingSpace,
    firstSpecialIds: readFirstSpecials(json.post_processor),
    lastSpecialId: readLastSpecial(json.post_processor),
    idOf: (piece) => ids.get(piece),
  }
}

/** Older files leave the type out. */
function guessType(model: JsonObject): string {
  if (Array.isArray(model.merges)) return 'BPE'
  return Array.isArray(model.vocab) ? 'Unigram' : 'none'
}

function readVocab(model: JsonObject): Map<string, number> {
  const entries = Object.entries(asObject(model.vocab, 'model.vocab'))
  checkCount(entries.length, 'model.vocab', MAX_PIECES)
  for (const [piece, id] of entries) {
    checkPiece(piece, 'model.vocab', describe(piece))
    checkId(id, 'model.vocab', MAX_PIECES)
  }
  return new Map(entries as [string, number][])
}

/** Pieces with scores, in the order of their ids. */
function readUnigramVocab(model: JsonObject): Map<string, number> {
  const entries = asList(model.vocab, 'model.vocab')
  checkCount(entries.length, 'model.vocab', MAX_PIECES)
  const ids = new Map<string, number>()
  for (const [id, entry] of entries.entries()) {
    const [piece, score] = asList(entry, 'model.vocab')
    if (typeof score !== 'number') {
      throw new FormatError(
        `Expected a score for each piece of model.vocab, got ${describe(score)} at ${id}.`,
        { field: 'model.vocab' },
      )
    }
    ids.set(checkPiece(piece, 'model.vocab', id), id)
  }
  return ids
}

/** Each merge is "left right" or ["left", "right"]. */
function checkMerges(value: unknown): void {
  const merges = asList(value, 'model.merges')
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

function readAddedTokens(value: unknown): AddedToken[] {
  const tokens = asList(value ?? [], 'added_tokens')
  checkCount(tokens.length, 'added_tokens', MAX_ADDED_TOKENS)
  return tokens.map((entry, i) => {
    const token = asObject(entry, 'added_tokens')
    return {
      id: checkId(token.id, 'added_tokens', MAX_PIECES),
      content: checkPiece(token.content, 'added_tokens', i),
      special: token.special === true,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
    }
  })
}

interface Decoding {
  readonly notation: PieceNotation
  readonly byteFallback: boolean
  readonly dropLeadingSpace: boolean
}

/** How pieces become text, from the decoder or, without one, from the pre-tokenizer. */
function readDecoding(json: JsonObject): Decoding {
  const steps = flatten(json.decoder, 'decoders')
  const types = new Set(steps.map(({ type }) => type))
  const byteFallback = types.has('ByteFallback')
  if (steps.length === 0) {
    const isByteLevel = flatten(json.pre_tokenizer, 'pretokenizers').some(
      ({ type }) => type === 'ByteLevel',
    )
    const notation = isByteLevel ? 'byte-level' : 'plain'
    return { notation, byteFallback: false, dropLeadingSpace: false }
  }
  if (types.has('ByteLevel')) {
    return { notation: 'byte-level', byteFallback: false, dropLeadingSpace: false }
  }
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
function readFirstSpecials(value: unknown): number[] {
  const ids: number[] = []
  for (const step of flatten(value, 'processors')) {
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
function readLastSpecial(value: unknown): number | undefined {
  for (const step of flatten(value, 'processors')) {
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

/** The steps of a chain: a Sequence's members under `key`, or the one step there is. */
function flatten(value: unknown, key: string): JsonObject[] {
  if (typeof value !== 'object' || value === null) return []
  const step = value as JsonObject
  const members = step[key]
  if (step.type !== 'Sequence' || !Array.isArray(members)) return [step]
  return members.filter((member) => typeof member === 'object' && member !== null)
}

function asObject(value: unknown, field: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject
  }
  throw new FormatError(
    `Expected ${field} to be an object, got ${describe(value)}. The file is damaged; fetch it again.`,
    { field },
  )
}

function asList(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new FormatError(
    `Expected ${field} to be a list, got ${describe(value)}. The file is damaged; fetch it again.`,
    { field },
  )
}
