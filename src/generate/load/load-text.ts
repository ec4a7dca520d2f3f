/**
 * What a model's file says of text: its tokenizer, and how tokens are drawn where nobody says.
 */
import type { OpenedModel } from '../../formats/model-file.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import {
  type StatedSampling,
  samplingFromGenerationConfig,
  samplingFromGguf,
} from '../../model/config/sampling-defaults.ts'
import type { Steps } from '../../steps.ts'
import { numericTokenizer } from '../../tokenizer/numeric.ts'
import { ggufTokenizer, jsonTokenizer, modelFileTokenizer } from '../../tokenizer/open-tokenizer.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { withTokenizerJson } from '../../tokenizer/vocabulary-files.ts'

export interface ModelText extends StatedSampling {
  readonly tokenizer: TextTokenizer
}

/** @throws FormatError */
export function* loadText(opened: OpenedModel, { vocabSize }: ModelConfig): Steps<ModelText> {
  const tokenizer = yield* ownTokenizer(opened, vocabSize)
  const { defaults, warnings } = statedSampling(opened)
  if (tokenizer !== undefined) return { tokenizer, defaults, warnings }
  const warning =
    `Expected a vocabulary in ${opened.file.name}, found none that is read: ` +
    'a text goes in as bytes or as numbers of tokens, and numbers come out.'
  return { tokenizer: numericTokenizer(vocabSize), defaults, warnings: [...warnings, warning] }
}

/**
 * A file without a vocabulary, e.g. one of random weights, still runs: its tokens are numbers.
 *
 * @param rows of the embedding, for tokenizers that are to run; unset: it is only looked at
 */
export function* loadTokenizer(
  opened: OpenedModel,
  vocabSize: number,
  rows?: number,
): Steps<TextTokenizer> {
  return (yield* ownTokenizer(opened, rows)) ?? numericTokenizer(vocabSize)
}

function* ownTokenizer(opened: OpenedModel, rows?: number): Steps<TextTokenizer | undefined> {
  const { file, tokenizerFiles } = opened
  if (file.format === 'gguf') {
    const hasVocabulary =
      file.metadata.has('tokenizer.ggml.tokens') || file.metadata.has('tokenizer.huggingface.json')
    return hasVocabulary ? yield* ggufTokenizer(file.metadata, rows) : undefined
  }
  const { tokenizerJson, tokenizerModel, ...others } = withTokenizerJson(tokenizerFiles)
  if (tokenizerJson !== undefined) {
    return yield* jsonTokenizer({ tokenizerJson, ...others, config: file.config }, rows)
  }
  if (tokenizerModel === undefined) return undefined
  return yield* modelFileTokenizer(tokenizerModel, { ...others, config: file.config }, rows)
}

function statedSampling({ file, tokenizerFiles }: OpenedModel): StatedSampling {
  if (file.format === 'gguf') return samplingFromGguf(file)
  return samplingFromGenerationConfig(tokenizerFiles.generationConfig, file.name)
}
