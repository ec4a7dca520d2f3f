/**
 * A vocabulary as GGUF's tokenizer keys: pieces by id, their types, merges or scores, and the ids with a
 * meaning.
 *
 * tokenizer.json is stored whole as well, under `tokenizer.huggingface.json`: GGUF names only a handful
 * of pre-tokenizers and cannot describe others, so for any other model the keys alone are not enough.
 */
import { isObject, isWhole, type JsonObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { TokenizerFiles } from '../formats/model-file.ts'
import { finish } from '../steps.ts'
import { chooseTemplate, LLAMA3_VOCAB_SIZE } from '../tokenizer/chat-format.ts'
import { checkRows } from '../tokenizer/create.ts'
import { PRE_TOKENIZERS } from '../tokenizer/pre-tokenizers.ts'
import { TEMPLATE_KEY, TOOL_TEMPLATE_KEY } from '../tokenizer/read-gguf.ts'
import { readJsonVocabulary } from '../tokenizer/read-json.ts'
import { stepsOf } from '../tokenizer/tokenizer-json.ts'
import { TOKEN_TYPE } from '../tokenizer/vocabulary.ts'
import { withMadeTokenizer } from './made-tokenizer.ts'
import { bool, type MetadataEntry, text, u32 } from './metadata-entry.ts'

/** Given to pre-tokenizers without a name; other programs refuse it instead of guessing. */
const UNNAMED_PRE = 'tokenizer.huggingface.json'
const ADD_BOS = 'tokenizer.ggml.add_bos_token'
/** Tokens that end a turn, whatever the files declare. */
const TURN_ENDS: readonly string[] = ['<|eot_id|>', '<|im_end|>']

interface VocabularyKeys {
  readonly addBos: MetadataEntry
  /** In the order of the published 2B-4T file, from `tokenizer.ggml.model` to the chat template. */
  readonly core: readonly MetadataEntry[]
  /** What that file does not have. */
  readonly additions: readonly MetadataEntry[]
}

/**
 * @param config config.json, which may name the ids that the tokenizer's own files leave open
 * @param vocabSize rows of the embedding; pieces are filled up to it
 * @throws FormatError if the tokenizer is damaged, of another kind than BPE, or larger than that
 */
export function vocabularyKeys(
  files: TokenizerFiles,
  config: JsonObject,
  vocabSize: number,
): VocabularyKeys {
  const { tokenizerJson, ...beside } = withMadeTokenizer(files, config)
  if (tokenizerJson === undefined) {
    return {
      addBos: bool(ADD_BOS, false),
      core: [text('tokenizer.ggml.model', 'no_vocab')],
      additions: [],
    }
  }
  const vocabulary = finish(readJsonVocabulary({ tokenizerJson, ...beside, config }))
  const { addedTokens, bosId, eosId, padId, endIds, appendedId, isBitnet } = vocabulary
  const { chatTemplate, toolTemplate } = vocabulary
  checkRows(vocabulary, vocabSize)
  // Ids that nothing claims become unused pieces of their own.
  const ids = Array.from({ length: vocabSize }, (_, id) => id)
  const pieces = ids.map((id) => vocabulary.pieces[id] ?? `[PAD${id}]`)
  const types = ids.map((id) => vocabulary.types[id] ?? TOKEN_TYPE.unused)
  const model = isObject(tokenizerJson['model']) ? tokenizerJson['model'] : {}
  const merges = readMerges(model)
  const isByteLevel = model['byte_fallback'] !== true
  const scores = isByteLevel ? new Float32Array(vocabSize) : mergeScores(pieces, merges)
  const turnEnds = addedTokens.filter(({ content }) => TURN_ENDS.includes(content))
  // Templates and what is embedded end in the first of them.
  const first = eosId === undefined ? [] : [eosId]
  const ends = [...new Set([...first, ...endIds, ...turnEnds.map(({ id }) => id)])]
  const withId = (name: string, id: number | undefined) =>
    isWhole(id, 0, vocabSize - 1) ? [u32(`tokenizer.ggml.${name}_token_id`, id)] : []
  const template = chooseTemplate(chatTemplate, { isBitnet, vocabSize })
  return {
    addBos: bool(ADD_BOS, vocabulary.addBos),
    core: [
      text('tokenizer.ggml.model', isByteLevel ? 'gpt2' : 'llama'),
      ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: pieces }],
      ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: scores }],
      ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: types }],
      [
        'tokenizer.ggml.merges',
        { type: 'array', of: 'string', value: merges.map(([a, b]) => `${a} ${b}`) },
      ],
      ...withId('bos', bosId),
      ...withId('eos', ends[0]),
      ...withId('padding', padId ?? ends[0]),
      ...(template === undefined ? [] : [text(TEMPLATE_KEY, template)]),
    ],
    additions: [
      ...withId('eot', ends[1]),
      ...withId('eom', ends[2]),
      ...(isByteLevel && vocabSize !== LLAMA3_VOCAB_SIZE
        ? [text('tokenizer.ggml.pre', preTokenizerName(tokenizerJson))]
        : []),
      ...(appendedId !== undefined && appendedId === ends[0]
        ? [bool('tokenizer.ggml.add_eos_token', true)]
        : []),
      ...(toolTemplate === undefined ? [] : [text(TOOL_TEMPLATE_KEY, toolTemplate)]),
      text('tokenizer.huggingface.json', JSON.stringify(tokenizerJson)),
    ],
  }
}

/** As pairs; written either as "a b" or as ["a", "b"]. */
function readMerges({ type, merges }: JsonObject): [string, string][] {
  if (type !== undefined && type !== 'BPE') throw damaged('model.type', '"BPE"')
  if (!Array.isArray(merges)) throw damaged('model.merges', 'a list')
  return merges.map((merge: unknown): [string, string] => {
    const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    if (Array.isArray(parts) && parts.length === 2) {
      const [a, b]: unknown[] = parts
      if (typeof a === 'string' && typeof b === 'string') return [a, b]
    }
    throw damaged('model.merges', 'pairs of pieces')
  })
}

/** SentencePiece compares scores where tokenizer.json compares ranks: earlier merges score higher. */
function mergeScores(pieces: readonly string[], merges: readonly [string, string][]): Float32Array {
  const ranks = new Map<string, number>()
  for (const [rank, [a, b]] of merges.entries()) {
    if (!ranks.has(a + b)) ranks.set(a + b, rank)
  }
  return Float32Array.from(pieces, (piece) => -(ranks.get(piece) ?? 0))
}

/** The GGUF name of the regular expressions that cut text into words. */
function preTokenizerName(tokenizerJson: JsonObject): string {
  const steps = stepsOf(tokenizerJson['pre_tokenizer'], 'pretokenizers')
  const splits = steps.flatMap(({ type, pattern }) =>
    type === 'Split' && isObject(pattern) ? [pattern['Regex']] : [],
  )
  for (const [name, known] of PRE_TOKENIZERS) {
    const isEqual =
      known.splits.length === splits.length && known.splits.every((split, i) => split === splits[i])
    if (isEqual) return name
  }
  return UNNAMED_PRE
}

function damaged(key: string, expected: string): FormatError {
  return new FormatError(
    `Expected ${expected} in ${key} of tokenizer.json, got something else. Fetch the file again, ` +
      'or take the tokenizer that belongs to these weights.',
    { field: `tokenizer.json ${key}` },
  )
}
