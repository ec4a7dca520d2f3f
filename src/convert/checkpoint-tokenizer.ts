/**
 * The files of a tokenizer beside a checkpoint, from the metadata of a GGUF file: tokenizer.json,
 * tokenizer_config.json and generation_config.json. A tokenizer.json that the file carries is taken as
 * it is; otherwise one is made of the vocabulary.
 */
import { fromFloat32, type JsonObject } from '../checks.ts'
import { MAX_VOCABULARY_MARKS, parseObject } from '../formats/json-text.ts'
import type { GgufFile } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { SAMPLING_KEYS } from '../model/config/sampling-defaults.ts'
import { finish } from '../steps.ts'
import { chooseTemplate } from '../tokenizer/chat-format.ts'
import { readText } from '../tokenizer/gguf-keys.ts'
import { readGgufVocabulary, readSpecialIds } from '../tokenizer/read-gguf.ts'
import { DEFAULT_TEMPLATE, TOOL_TEMPLATE } from '../tokenizer/read-json.ts'
import type { Vocabulary } from '../tokenizer/vocabulary.ts'
import { withBeginToken } from './begin-token.ts'
import type { SideFile } from './conversion.ts'
import { madeTokenizer } from './made-tokenizer.ts'

/** @throws FormatError naming the key that is damaged or not supported */
export function tokenizerFilesOf(file: GgufFile, config: ModelConfig): SideFile[] {
  const files: SideFile[] = [jsonFile('generation_config.json', generationConfig(file))]
  const kind = readText(file.metadata, 'tokenizer.ggml.model')
  const whole = readText(file.metadata, 'tokenizer.huggingface.json')
  if (whole === undefined && kind !== 'gpt2' && kind !== 'llama') return files
  const vocabulary = finish(readGgufVocabulary(file.metadata))
  if (vocabulary === undefined) return files
  files.push(jsonFile('tokenizer_config.json', tokenizerConfig(vocabulary, config)))
  files.push(
    whole === undefined
      ? jsonFile('tokenizer.json', madeTokenizer(vocabulary))
      : embeddedJson(whole, vocabulary),
  )
  return files
}

/** As the file carries it, but with the begin token where the file's keys have it. */
function embeddedJson(whole: string, { pieces, bosId, addBos }: Vocabulary): SideFile {
  const name = 'tokenizer.json'
  const begin = bosId === undefined ? undefined : pieces[bosId]
  const json = parseObject(whole, MAX_VOCABULARY_MARKS)
  const changed =
    json && begin !== undefined && bosId !== undefined
      ? withBeginToken(json, begin, bosId, addBos)
      : json
  if (changed === json || changed === undefined) {
    return { name, bytes: new TextEncoder().encode(whole) }
  }
  return jsonFile(name, changed)
}

function jsonFile(name: string, value: JsonObject): SideFile {
  return { name, bytes: new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`) }
}

function generationConfig({ metadata }: GgufFile): JsonObject {
  const { bosId, endIds, padId } = readSpecialIds(metadata, Number.MAX_SAFE_INTEGER)
  const sampling = SAMPLING_KEYS.flatMap(({ gguf, json }) => {
    const value = metadata.get(gguf)
    return typeof value === 'number' ? [[json, fromFloat32(value)] as const] : []
  })
  return withoutAbsent({
    bos_token_id: bosId,
    eos_token_id: endIds.length > 0 ? [...new Set(endIds)] : undefined,
    pad_token_id: padId,
    do_sample: sampling.some(([key]) => key === 'temperature') || undefined,
    ...Object.fromEntries(sampling),
  })
}

function tokenizerConfig(vocabulary: Vocabulary, config: ModelConfig): JsonObject {
  const { pieces, bosId, eosId, padId, addBos, chatTemplate, toolTemplate } = vocabulary
  const text = (id: number | undefined) => (id === undefined ? undefined : pieces[id])
  const isBitnet = config.architecture !== 'llama' && config.activation === 'relu2'
  const template = chooseTemplate(chatTemplate, { isBitnet, vocabSize: config.vocabSize })
  return withoutAbsent({
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: text(bosId),
    eos_token: text(eosId),
    pad_token: text(padId),
    add_bos_token: addBos,
    clean_up_tokenization_spaces: false,
    model_max_length: config.contextLength,
    chat_template:
      toolTemplate === undefined || template === undefined
        ? template
        : [
            { name: DEFAULT_TEMPLATE, template },
            { name: TOOL_TEMPLATE, template: toolTemplate },
          ],
  })
}

function withoutAbsent(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
