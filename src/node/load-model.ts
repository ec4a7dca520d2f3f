/**
 * From a name or path to a model that generates: finds the file, opens a backend, loads the weights and
 * the tokenizer, and puts them together.
 */
import { FormatError } from '../errors.ts'
import { createLanguageModel } from '../generate/create-language-model.ts'
import type { LanguageModel, LoadOptions } from '../generate/language-model.ts'
import { readConfig } from '../model/read-config.ts'
import {
  type SamplingDefaults,
  samplingFromGenerationConfig,
  samplingFromGguf,
} from '../model/sampling-defaults.ts'
import { tokenizerFromGguf } from '../tokenizer/from-gguf.ts'
import { tokenizerFromJson } from '../tokenizer/from-json.ts'
import { numericTokenizer } from '../tokenizer/numeric.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import { resolveModel } from './default-model.ts'
import { openEngine } from './load-engine.ts'
import { type OpenedModel, openModelFile } from './open-model.ts'

/**
 * Loads a model.
 *
 * @param source the embedded model's name, or a path to a .gguf file, a .safetensors file with
 *   config.json beside it, or a Hugging Face style folder; unset: the embedded model
 * @throws ModelNotFoundError | FormatError | BackendError | UsageError, or the signal's reason; nothing
 *   stays open or allocated then
 *
 * @example
 * const model = await loadModel()
 * for await (const text of model.generate('Once upon a time')) process.stdout.write(text)
 * await model.dispose()
 */
export async function loadModel(
  source?: string,
  options: LoadOptions = {},
): Promise<LanguageModel> {
  const began = performance.now()
  options.signal?.throwIfAborted()
  const opened = await openModelFile(await resolveModel(source))
  try {
    return await assemble(opened, options, began)
  } finally {
    // The weights are in the backend's memory by now, or not needed any more.
    await opened.file.close()
  }
}

async function assemble(
  opened: OpenedModel,
  options: LoadOptions,
  began: number,
): Promise<LanguageModel> {
  const { file } = opened
  const config = readConfig(file)
  const defaults = samplingDefaults(opened)
  const tokenizer = loadTokenizer(opened, config.vocabSize)
  const engine = await openEngine(file, config, options, began)
  try {
    const { backend, weights, decoder } = engine
    return createLanguageModel({
      engine: decoder,
      tokenizer,
      backend: {
        name: backend.name,
        isa: backend.isa,
        threads: backend.threads,
        description: backend.description,
      },
      memory: {
        ternaryBytes: weights.ternaryBytes,
        denseBytes: weights.denseBytes,
        activationBytes: decoder.activationBytes,
        cacheBytesPerToken: decoder.cacheBytesPerToken,
      },
      loadMs: engine.loadMs,
      name: config.name,
      defaults,
      dispose: () => engine.dispose(),
    })
  } catch (error) {
    engine.dispose()
    throw error
  }
}

/** A file without a vocabulary, e.g. one of random weights, still runs: its tokens are numbers. */
export function loadTokenizer(opened: OpenedModel, vocabSize: number): TextTokenizer {
  const { file, tokenizerFiles } = opened
  if (file.format === 'gguf') {
    const hasVocabulary =
      file.metadata.has('tokenizer.ggml.tokens') || file.metadata.has('tokenizer.huggingface.json')
    return hasVocabulary ? tokenizerFromGguf(file.metadata) : numericTokenizer(vocabSize)
  }
  const { tokenizerJson, tokenizerModel, tokenizerConfig, generationConfig } = tokenizerFiles
  if (tokenizerJson !== undefined) {
    const { config } = file
    return tokenizerFromJson({ tokenizerJson, tokenizerConfig, generationConfig, config })
  }
  if (tokenizerModel === undefined) return numericTokenizer(vocabSize)
  throw new FormatError(
    `Expected tokenizer.json beside the weights of ${file.name}, found only tokenizer.model. ` +
      'Fetch tokenizer.json too, or convert the model to GGUF.',
    { field: 'tokenizer.json', path: file.name },
  )
}

function samplingDefaults({ file, tokenizerFiles }: OpenedModel): SamplingDefaults {
  if (file.format === 'gguf') return samplingFromGguf(file)
  return samplingFromGenerationConfig(tokenizerFiles.generationConfig, file.name)
}
