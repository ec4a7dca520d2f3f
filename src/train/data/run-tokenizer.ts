/** The tokenizer of a run, from files as Hugging Face lays them out. */
import type { JsonObject } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { MAX_VOCABULARY_MARKS, parseObject } from '../../formats/json-text.ts'
import { jsonTokenizer } from '../../tokenizer/open-tokenizer.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { byteTokenizerFiles } from '../../tokenizer/training/tokenizer-files.ts'
import { withTokenizerJson } from '../../tokenizer/vocabulary-files.ts'
import { takingTurns } from '../../turns.ts'

/** The name of the tokenizer that needs no file. */
export const BYTES = 'bytes'

/** A small file that checkpoints get as it is. */
export interface TokenizerFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** A tokenizer's file, as people can read it. */
export function fileText(value: JsonObject): string {
  return `${JSON.stringify(value, null, 1)}\n`
}

/** Those of a token a byte. */
export function byteTokenizer(): TokenizerFile[] {
  return Object.entries(byteTokenizerFiles()).map(([name, value]) => ({
    name,
    bytes: new TextEncoder().encode(fileText(value)),
  }))
}

/**
 * @param where the files are, for the message
 * @throws UsageError where there is no tokenizer.json, FormatError for one that cannot be read
 */
export async function openTokenizer(
  files: readonly TokenizerFile[],
  where: string,
): Promise<TextTokenizer> {
  const text = (file: string) => {
    const found = files.find((own) => own.name === file)
    return found && new TextDecoder().decode(found.bytes)
  }
  const json = (file: string) => parseObject(text(file) ?? '', MAX_VOCABULARY_MARKS)
  const tokenizerJson = json('tokenizer.json')
  if (tokenizerJson === undefined) {
    throw new UsageError(
      `Expected a tokenizer.json for training in ${where}, got none. Name a model or a folder that has one, ` +
        `or "${BYTES}" for a token a byte.`,
    )
  }
  const whole = withTokenizerJson({
    tokenizerJson,
    tokenizerConfig: json('tokenizer_config.json'),
    generationConfig: json('generation_config.json'),
    specialTokensMap: json('special_tokens_map.json'),
    chatTemplate: text('chat_template.jinja'),
    addedTokens: json('added_tokens.json'),
  })
  const { tokenizerJson: made } = whole
  return takingTurns(jsonTokenizer({ ...whole, tokenizerJson: made }))
}
