/**
 * The parts of a tokenizer.json that say how byte-level BPE cuts and merges, from what a GGUF file has.
 */
import type { JsonObject } from '../checks.ts'
import type { PreTokenizer } from './pre-tokenizers.ts'

/** @param vocab ids by piece */
export function byteLevelParts(
  vocab: Readonly<Record<string, number>>,
  merges: readonly string[],
  { splits, ignoreMerges }: PreTokenizer,
): { pre_tokenizer: JsonObject; model: JsonObject } {
  const cuts = splits.map((expression) => ({
    type: 'Split',
    pattern: { Regex: expression },
    behavior: 'Isolated',
    invert: false,
  }))
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  }
  return {
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...cuts, byteLevel] },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab,
      merges,
    },
  }
}
