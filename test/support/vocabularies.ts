/** The smallest vocabularies of each kind, as the metadata of a GGUF file has them. */
import type { GgufValue } from '../../src/formats/model-file.ts'

/** By key, without the "tokenizer." in front. */
export type VocabularyKeys = Record<string, GgufValue>

export function tokenizerMetadata(keys: VocabularyKeys): Map<string, GgufValue> {
  return new Map(Object.entries(keys).map(([key, value]) => [`tokenizer.${key}`, value]))
}

export const BYTE_LEVEL: VocabularyKeys = {
  'ggml.model': 'gpt2',
  'ggml.pre': 'gpt-2',
  'ggml.tokens': ['a', 'b', 'ab', '<|endoftext|>', '<tag>', '__proto__'],
  'ggml.token_type': Int32Array.of(1, 1, 1, 3, 4, 1),
  'ggml.merges': ['a b'],
  'ggml.eos_token_id': 3,
}

const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
)
/** Ids: 0-2 control, 3-258 bytes, then pieces. */
export const SENTENCEPIECE: VocabularyKeys = {
  'ggml.model': 'llama',
  'ggml.tokens': ['<unk>', '<s>', '</s>', ...BYTES, '\u2581', 'a', 'b', 'ab', '\u2581a', 's>', '<'],
  'ggml.scores': Float32Array.from([...new Array(259).fill(0), -9, -9, -9, -2, -1, -3, -9]),
  'ggml.token_type': Int32Array.from([2, 3, 3, ...new Array(256).fill(6), 1, 1, 1, 1, 1, 1, 1]),
  'ggml.bos_token_id': 1,
  'ggml.eos_token_id': 2,
}
