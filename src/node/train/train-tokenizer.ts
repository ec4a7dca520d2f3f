/** A tokenizer learnt from files: words counted by threads, then merges, then the files that models have. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../../errors.ts'
import {
  COUNT,
  checkOptions,
  FUNCTION,
  listOf,
  type OptionRules,
  SIGNAL,
  TEXT,
} from '../../option-checks.ts'
import { BYTE_CHARACTERS } from '../../tokenizer/byte-alphabet.ts'
import { SCRIPTS_SPLIT } from '../../tokenizer/regex/known.ts'
import { CHAT_TOKENS, tokenizerFiles } from '../../tokenizer/training/tokenizer-files.ts'
import { trainMerges } from '../../tokenizer/training/train-merges.ts'
import type { CountedWords } from '../../tokenizer/training/word-counts.js'
import { MAX_ADDED_TOKENS, MAX_PIECES } from '../../tokenizer/vocabulary-limits.ts'
import { textsOf } from '../../train/data/documents.ts'
import { fileText } from '../../train/data/run-tokenizer.ts'
import { takingTurns } from '../../turns.ts'
import { makeFolder, statOf } from '../files/system.ts'
import { writeWhole } from '../files/write-file.ts'
import { parseWholeEntry } from './data-entry.ts'
import { readDocuments, textFiles } from './read-documents.ts'
import { WordThreads } from './word-threads.ts'

export interface TrainTokenizerOptions {
  /** Texts, .jsonl files or folders, as {@link train} takes them; "path=2" counts twice. */
  readonly data: readonly string[]
  /** The folder that gets tokenizer.json and what lies beside it. */
  readonly out: string
  /** Tokens, those of conversations and the 256 bytes among them. Unset: 16,384. */
  readonly vocabulary?: number | undefined
  /** Special tokens behind those of conversations: "<|name|>". */
  readonly special?: readonly string[] | undefined
  /** Two pieces that come together less often are not merged. Unset: 2. */
  readonly minFrequency?: number | undefined
  /** Threads that count words; what they find is the same whatever their number. Unset: one a core. */
  readonly threads?: number | undefined
  readonly onProgress?: ((progress: TokenizerTrainingProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export type TokenizerTrainingProgress =
  | { readonly stage: 'count'; readonly file: string; readonly textBytes: number }
  | { readonly stage: 'merge'; readonly tokens: number; readonly of: number }

export interface TokenizerReport {
  readonly out: string
  /** Tokens that it has, fewer than wanted where the text is small. */
  readonly vocabulary: number
  readonly merges: number
  /** Different words that the merges were learnt from, and rare ones that were forgotten before. */
  readonly words: number
  readonly forgottenWords: number
  /** UTF-8. */
  readonly textBytes: number
  /** Of this text, by this tokenizer, weights counted. */
  readonly bytesPerToken: number
  readonly seconds: number
}

const DEFAULT_VOCABULARY = 16_384
const DEFAULT_MIN_FREQUENCY = 2
/** Such a token is no word of text, which brackets are cut from. */
const SPECIAL = /^(?:<\S*\p{L}\S*>|\[\S*\p{L}\S*\])$/u

const TRAIN_TOKENIZER_OPTIONS: OptionRules<TrainTokenizerOptions> = {
  data: { ...listOf(), also: ['files'] },
  out: TEXT,
  vocabulary: { ...COUNT, also: ['vocab_size', 'vocabSize'] },
  special: {
    expected: 'a list of texts in angle or square brackets, as "<|name|>"',
    holds: (value) =>
      Array.isArray(value) && value.every((one) => typeof one === 'string' && SPECIAL.test(one)),
    also: ['special_tokens', 'specialTokens'],
  },
  minFrequency: { ...COUNT, also: ['min_frequency'] },
  threads: COUNT,
  onProgress: FUNCTION,
  signal: SIGNAL,
}

/**
 * Learns a byte-level BPE from texts and writes it to a folder, for `train({ tokenizer })` and for every library
 * that reads tokenizer.json. Equal texts and options give equal files.
 *
 * @throws UsageError for options that do not go together, FormatError for texts that cannot be read
 */
export async function trainTokenizer(options: TrainTokenizerOptions): Promise<TokenizerReport> {
  checkOptions('trainTokenizer', options, TRAIN_TOKENIZER_OPTIONS)
  const { data = [], out, onProgress, signal } = options
  if (data.length === 0 || out === undefined) {
    throw new UsageError(
      'Expected texts to learn from and a folder for the tokenizer. On the command line: --data book.txt ' +
        '--out tokenizer.',
    )
  }
  const special = specialTokens(options.special ?? [])
  const least = CHAT_TOKENS.length + special.length + BYTE_CHARACTERS.length
  const vocabulary = options.vocabulary ?? DEFAULT_VOCABULARY
  if (vocabulary < least || vocabulary > MAX_PIECES) {
    throw new UsageError(
      `Expected a vocabulary of ${least} (special tokens and all bytes) to ${MAX_PIECES} tokens, got ${vocabulary}.`,
    )
  }
  const target = join(out, 'tokenizer.json')
  if ((await statOf(target)) !== undefined) {
    throw new UsageError(`${target} is there already. Remove it, or choose another folder.`)
  }
  const began = performance.now()
  const { words, textBytes, forgottenWords } = await countWords(options)
  const pieces = vocabulary - least + BYTE_CHARACTERS.length
  const trained = await takingTurns(
    trainMerges(words, {
      pieces,
      minFrequency: options.minFrequency ?? DEFAULT_MIN_FREQUENCY,
      onPieces: (count) =>
        onProgress?.({ stage: 'merge', tokens: vocabulary - pieces + count, of: vocabulary }),
    }),
    signal,
  )
  await makeFolder(out)
  const files = tokenizerFiles({ special, split: SCRIPTS_SPLIT, ...trained })
  // Behind all others the one by which a folder is known.
  for (const [name, value] of Object.entries(files).reverse()) {
    await writeWhole(join(out, name), fileText(value))
  }
  return {
    out,
    vocabulary: vocabulary - pieces + trained.pieces.length,
    merges: trained.merges.length,
    words: words.ends.length,
    forgottenWords,
    textBytes,
    bytesPerToken: trained.bytes / trained.tokens,
    seconds: (performance.now() - began) / 1000,
  }
}

/** @throws UsageError for tokens that are named twice */
function specialTokens(given: readonly string[]): readonly string[] {
  const all = new Set<string>(CHAT_TOKENS)
  for (const token of given) {
    if (all.has(token)) {
      throw new UsageError(
        `Expected special tokens that differ from each other and from ${CHAT_TOKENS.join(' ')}, got ${token} again.`,
      )
    }
    all.add(token)
  }
  if (all.size > MAX_ADDED_TOKENS) {
    throw new UsageError(`Expected at most ${MAX_ADDED_TOKENS} special tokens, got ${all.size}.`)
  }
  return given
}

interface Counted {
  readonly words: CountedWords
  readonly textBytes: number
  readonly forgottenWords: number
}

async function countWords(options: TrainTokenizerOptions): Promise<Counted> {
  const { data, onProgress, signal } = options
  const threads = options.threads ?? availableParallelism()
  const counting = new WordThreads({ threads })
  let textBytes = 0
  try {
    for (const { path, weight } of data.map(parseWholeEntry)) {
      for (const file of await textFiles(path)) {
        for await (const document of readDocuments(file)) {
          for (const text of textsOf(document)) {
            textBytes += Buffer.byteLength(text)
            await counting.add(text, weight)
          }
          signal?.throwIfAborted()
          onProgress?.({ stage: 'count', file, textBytes })
        }
      }
      await counting.endOfSource(weight)
    }
    const words = await counting.take()
    if (words.ends.length === 0) {
      throw new UsageError(`Expected text in ${data.join(', ')}, got none.`)
    }
    // Shares of a word that counts for a half are whole numbers again.
    for (const [i, count] of words.counts.entries())
      words.counts[i] = Math.max(1, Math.round(count))
    return { words, textBytes, forgottenWords: counting.forgotten }
  } finally {
    await counting.dispose()
  }
}
