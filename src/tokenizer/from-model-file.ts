/**
 * A tokenizer from a checkpoint's `tokenizer.model`, where there is no tokenizer.json: tiktoken's text
 * form (Llama 3) or SentencePiece's protocol buffer (Llama 2).
 */
import type { JsonObject } from '../checks.ts'
import type { GgufValue } from '../formats/model-file.ts'
import { tokenizerFromGguf } from './from-gguf.ts'
import { eosIds, type JsonTokenizerFiles, readTemplate } from './from-json.ts'
import { tokenizerFromTiktoken } from './from-tiktoken.ts'
import { TOKEN_TYPE } from './gguf-vocabulary.ts'
import { checkId, MAX_PIECES } from './limits.ts'
import { readSentencePieceModel } from './sentencepiece-model.ts'
import type { TextTokenizer } from './text-tokenizer.ts'

type BesideModelFile = Omit<JsonTokenizerFiles, 'tokenizerJson' | 'declared' | 'origin'>

/** @throws FormatError naming the part that is damaged or not supported */
export function tokenizerFromModelFile(file: Uint8Array, beside: BesideModelFile): TextTokenizer {
  const chatTemplate = readTemplate(beside.chatTemplate ?? beside.tokenizerConfig?.chat_template)
  // A protocol buffer begins with the tag of its first piece, a line feed; tiktoken with base64.
  if (file[0] !== 0x0a) {
    return tokenizerFromTiktoken(file, {
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      isBitnet: beside.config?.model_type === 'bitnet',
    })
  }
  return fromSentencePiece(file, beside, chatTemplate)
}

/** By way of the keys under which GGUF files carry the same model. */
function fromSentencePiece(
  file: Uint8Array,
  { tokenizerConfig, generationConfig, config }: BesideModelFile,
  chatTemplate: string | undefined,
): TextTokenizer {
  const model = readSentencePieceModel(file)
  const pieces = [...model.pieces]
  const scores = [...model.scores]
  const types = [...model.types]
  for (const { id, content } of addedTokens(tokenizerConfig)) {
    // Ids between the last piece and this one stand for nothing.
    while (pieces.length <= id) {
      pieces.push('')
      scores.push(0)
      types.push(TOKEN_TYPE.unused)
    }
    pieces[id] = content
    types[id] = TOKEN_TYPE.control
  }
  const eosId =
    eosIds(generationConfig, 'generation_config.json')[0] ??
    eosIds(config, 'config.json')[0] ??
    model.eosId
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', pieces],
    ['tokenizer.ggml.scores', scores],
    ['tokenizer.ggml.token_type', types],
    ['tokenizer.ggml.add_space_prefix', model.addSpacePrefix],
  ])
  const ids = { bos: model.bosId, eos: eosId, unknown: model.unknownId }
  for (const [name, id] of Object.entries(ids)) {
    if (id >= 0) metadata.set(`tokenizer.ggml.${name}_token_id`, id)
  }
  const addBos = tokenizerConfig?.add_bos_token
  if (typeof addBos === 'boolean') metadata.set('tokenizer.ggml.add_bos_token', addBos)
  if (chatTemplate !== undefined) metadata.set('tokenizer.chat_template', chatTemplate)
  return tokenizerFromGguf(metadata, 'tokenizer.model')
}

/** Tokens that tokenizer_config.json adds to the model's own. */
function addedTokens(config: JsonObject | undefined): { id: number; content: string }[] {
  const listed = config?.added_tokens_decoder
  if (typeof listed !== 'object' || listed === null) return []
  return Object.entries(listed).flatMap(([key, value]: [string, unknown]) => {
    if (typeof value !== 'object' || value === null || !('content' in value)) return []
    const { content, special } = value as { content: unknown; special?: unknown }
    if (typeof content !== 'string' || special !== true) return []
    return [{ id: checkId(Number(key), 'added_tokens_decoder', MAX_PIECES), content }]
  })
}
