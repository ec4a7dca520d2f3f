/**
 * A tokenizer.json made of a vocabulary that came in another form: GGUF's keys, or a checkpoint's tokenizer.model
 * (SentencePiece, tiktoken). It gives the ids that the vocabulary gives, or is refused.
 */
import type { JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { TokenizerFiles } from '../formats/model-file.ts'
import { finish } from '../steps.ts'
import { readModelFile } from '../tokenizer/open-tokenizer.ts'
import { PRE_TOKENIZERS, type PreTokenizer } from '../tokenizer/pre-tokenizers.ts'
import { addedToken, bpeModel, byteLevelParts } from '../tokenizer/tokenizer-json.ts'
import { TOKEN_TYPE, type Vocabulary, type WordModel } from '../tokenizer/vocabulary.ts'
import { withTokenizerJson } from '../tokenizer/vocabulary-files.ts'
import { idsByPiece } from '../tokenizer/words.ts'
import { beginTemplate } from './begin-token.ts'

type Scores = Extract<WordModel, { kind: 'scores' }>

/**
 * The files with a tokenizer.json, where there is a vocabulary at all: one made of vocab.json and merges.txt, or
 * of tokenizer.model, if there is no other.
 *
 * @param config config.json
 * @throws FormatError naming what is damaged or has no equal form
 */
export function withMadeTokenizer(files: TokenizerFiles, config: JsonObject): TokenizerFiles {
  const found = withTokenizerJson(files)
  const { tokenizerModel, tokenizerJson, ...beside } = found
  if (tokenizerJson !== undefined || tokenizerModel === undefined) return found
  const vocabulary = finish(readModelFile(tokenizerModel, { ...beside, config }))
  const { pieces, bosId, eosId, addBos } = vocabulary
  const named = (name: string, id: number | undefined) =>
    id === undefined ? {} : { [name]: pieces[id] }
  return {
    ...beside,
    tokenizerJson: madeTokenizer(vocabulary),
    tokenizerConfig: {
      ...{ ...named('bos_token', bosId), ...named('eos_token', eosId), add_bos_token: addBos },
      ...beside.tokenizerConfig,
    },
  }
}

/** @throws FormatError if no tokenizer.json gives the same ids */
export function madeTokenizer(vocabulary: Vocabulary): JsonObject {
  const { pieces, addedTokens, model, bosId, addBos } = vocabulary
  const bos = bosId === undefined || !addBos ? undefined : pieces[bosId]
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens.map(({ id, content, special }) => addedToken(id, content, special)),
    normalizer: null,
    post_processor: bos === undefined || bosId === undefined ? null : beginTemplate(bos, bosId),
    ...partsOf(vocabulary, model),
  }
}

function partsOf(vocabulary: Vocabulary, model: WordModel): JsonObject {
  switch (model.kind) {
    case 'scores':
      return scored(vocabulary, model)
    case 'merges':
      return byteLevel(vocabulary, model.merges, model.pre)
    case 'ranks':
      return byteLevel(vocabulary, mergesByRank(vocabulary), LLAMA3)
    case 'tokenizer.json':
      return model.json
  }
}

const LLAMA3 = PRE_TOKENIZERS.get('llama-bpe') as PreTokenizer

function byteLevel(
  vocabulary: Vocabulary,
  merges: readonly string[],
  pre: PreTokenizer,
): JsonObject {
  const vocab = numberedPieces(vocabulary)
  const decoder = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }
  return { ...byteLevelParts(Object.fromEntries(vocab), merges, pre), decoder }
}

/** Added tokens among them: whoever reads a tokenizer.json numbers others anew, behind the vocabulary. */
function numberedPieces(vocabulary: Vocabulary): ReadonlyMap<string, number> {
  return finish(idsByPiece(vocabulary, (type) => type !== TOKEN_TYPE.unused))
}

function scored(vocabulary: Vocabulary, model: Scores): JsonObject {
  const { addSpacePrefix, removesSpaces = false, charsMap, scores } = model
  if (charsMap !== undefined) {
    throw new FormatError(
      'Expected tokenizer.model without a table of characters (precompiled_charsmap), which a tokenizer.json ' +
        'applies to other pieces of a text. Put the tokenizer.json of the same model beside it.',
      { field: 'precompiled_charsmap' },
    )
  }
  const { pieces, unknownId = 0 } = vocabulary
  const vocab = numberedPieces(vocabulary)
  const replaced = (pattern: JsonObject, content: string) => ({ type: 'Replace', pattern, content })
  const removed = [
    replaced({ Regex: '\\A +' }, ''),
    replaced({ Regex: ' {2,}' }, ' '),
    replaced({ Regex: '[ \u2581]+\\z' }, ''),
  ]
  const decoders = [replaced({ String: '\u2581' }, ' '), { type: 'ByteFallback' }, { type: 'Fuse' }]
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 }
  return {
    normalizer: {
      type: 'Sequence',
      normalizers: [
        ...(removesSpaces ? removed : []),
        ...(addSpacePrefix ? [{ type: 'Prepend', prepend: '\u2581' }] : []),
        replaced({ String: ' ' }, '\u2581'),
      ],
    },
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders: addSpacePrefix ? [...decoders, strip] : decoders },
    model: bpeModel(pieces[unknownId], true, {
      vocab: Object.fromEntries(vocab),
      merges: mergesByScore(vocabulary, scores),
    }),
  }
}

/**
 * SentencePiece BPE, which ranks pieces by scores, as the list of merges that tokenizer.json wants: each
 * way to make a piece of two others, in the order in which they are to be tried. Both sides and the
 * join are pieces of text.
 */
function mergesByScore(vocabulary: Vocabulary, scores: ArrayLike<number>): [string, string][] {
  const ids = finish(idsByPiece(vocabulary, (type) => type === TOKEN_TYPE.normal))
  const merges: { pair: [string, string]; id: number }[] = []
  for (const [piece, id] of ids) {
    const characters = [...piece]
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join('')
      const right = characters.slice(cut).join('')
      if (ids.has(left) && ids.has(right)) merges.push({ pair: [left, right], id })
    }
  }
  merges.sort((a, b) => scores[b.id] - scores[a.id] || a.id - b.id)
  return merges.map(({ pair }) => pair)
}

/**
 * tiktoken's ranks as merges: a piece is the join of the two that its bytes come to when only pieces of lower
 * rank are made.
 */
function mergesByRank(vocabulary: Vocabulary): string[] {
  const ids = finish(idsByPiece(vocabulary, (type) => type === TOKEN_TYPE.normal))
  return [...ids].flatMap(([piece, rank]) => {
    const parts = [...piece]
    while (parts.length > 2) {
      let best = -1
      let bestRank = rank
      for (let i = 0; i + 1 < parts.length; i++) {
        const joined = ids.get(parts[i] + parts[i + 1]) ?? rank
        if (joined < bestRank) [best, bestRank] = [i, joined]
      }
      if (best < 0) break
      parts.splice(best, 2, parts[best] + parts[best + 1])
    }
    // A piece that no two others make is met whole only, which the model does without a merge.
    return parts.length === 2 ? [parts.join(' ')] : []
  })
}
