/**
 * From an opened file to a model that generates, wherever it was opened: loads the weights onto a
 * backend and the tokenizer from the file, and puts them together.
 */
import type { Backend } from '../backends/backend.ts'
import type { BackendOptions } from '../backends/open-portable.ts'
import type { ModelFile, OpenedModel } from '../formats/model-file.ts'
import { estimateMemory } from '../model/cache/memory-estimate.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { configToRun } from '../model/config/config-to-run.ts'
import {
  type SamplingDefaults,
  samplingFromGenerationConfig,
  samplingFromGguf,
} from '../model/config/sampling-defaults.ts'
import { createDecoder, type Decoder } from '../model/decoder.ts'
import { type LoadedWeights, loadWeights } from '../model/weights/load-weights.ts'
import type { ImageReport, WeightImages } from '../model/weights/weight-images.ts'
import { numericTokenizer } from '../tokenizer/numeric.ts'
import {
  tokenizerFromGguf,
  tokenizerFromJson,
  tokenizerFromModelFile,
} from '../tokenizer/open-tokenizer.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import { createLanguageModel } from './create-language-model.ts'
import type { LanguageModel, LoadOptions } from './language-model.ts'
import { Prepared } from './prepared.ts'

/** How this surrounding chooses a backend: select.ts in Node, open-portable.ts in browsers. */
export type BackendOpener = (options: BackendOptions) => Promise<Backend>

export interface LoadedEngine {
  readonly backend: Backend
  readonly weights: LoadedWeights
  readonly decoder: Decoder
  readonly loadMs: number
  /** Where the weights came from; absent without a place for images. */
  readonly image?: ImageReport
  /** Settles when no image is being written any more; absent like `image`. */
  readonly kept?: Promise<ImageReport>
  /** Frees all of it, the backend included, once no image is being written. */
  dispose(): Promise<void>
}

/**
 * Loads an opened model. The file stays open.
 *
 * @param began when loading began, by `performance.now()`
 * @param images what keeps packed weights between two starts; unset: nothing
 */
export async function assembleModel(
  opened: OpenedModel,
  options: LoadOptions,
  began: number,
  openBackend: BackendOpener,
  images?: WeightImages,
): Promise<LanguageModel> {
  const { file } = opened
  const config = await configToRun(file)
  const defaults = samplingDefaults(opened)
  const tokenizer = new Prepared(() => loadTokenizer(opened, config.vocabSize))
  const engine = await openEngine(file, config, options, began, openBackend, images, tokenizer)
  try {
    const { backend, weights, decoder, image, kept } = engine
    return createLanguageModel({
      engine: decoder,
      tokenizer: tokenizer.get(),
      backend: {
        name: backend.name,
        isa: backend.isa,
        threads: backend.threads,
        description: backend.description,
        weightsFrom: image?.state === 'mapped' ? 'image' : 'file',
      },
      memory: {
        ternaryBytes: weights.ternaryBytes,
        denseBytes: weights.denseBytes,
        activationBytes: decoder.activationBytes,
        cacheBytesPerToken: decoder.cacheBytesPerToken,
        ...(image && { image }),
      },
      imageKept: kept,
      loadMs: performance.now() - began,
      name: config.name,
      defaults,
      dispose: () => engine.dispose(),
    })
  } catch (error) {
    await engine.dispose()
    throw error
  }
}

/**
 * Opens a backend and loads a file's weights onto it. The file stays open.
 *
 * @param began when loading began, by `performance.now()`
 * @param images what keeps packed weights between two starts; unset: nothing
 * @param side what else a load needs: prepared while other threads read an image, or before weights are
 *   loaded from the model's file, which takes seconds that would be lost if it cannot be had
 */
export async function openEngine(
  file: ModelFile,
  config: ModelConfig,
  options: LoadOptions,
  began: number,
  openBackend: BackendOpener,
  images?: WeightImages,
  side?: Prepared<unknown>,
): Promise<LoadedEngine> {
  const expectedBytes = estimateMemory(file, config, options)
  const backend = await openBackend({ ...options, expectedBytes })
  let kept: Promise<ImageReport> | undefined
  try {
    const load = async (): Promise<LoadedWeights> => {
      side?.get()
      return loadWeights(backend, file, config, options)
    }
    const meanwhile = side && (() => side.prepare())
    const loaded = await images?.load({ backend, file, config, options, meanwhile }, load)
    kept = loaded?.kept
    const { weights, image } = loaded ?? { weights: await load(), image: undefined }
    const decoder = createDecoder(backend, config, weights, { cacheType: options.kv })
    return {
      backend,
      weights,
      decoder,
      loadMs: performance.now() - began,
      ...(image && { image }),
      ...(kept && { kept }),
      dispose: async () => {
        await kept
        decoder.dispose()
        weights.dispose()
        backend.dispose()
      },
    }
  } catch (error) {
    await kept
    // Frees all that was allocated on it.
    backend.dispose()
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
  const { tokenizerJson, tokenizerModel, ...others } = tokenizerFiles
  if (tokenizerJson !== undefined) {
    return tokenizerFromJson({ tokenizerJson, ...others, config: file.config })
  }
  if (tokenizerModel === undefined) return numericTokenizer(vocabSize)
  return tokenizerFromModelFile(tokenizerModel, { ...others, config: file.config })
}

function samplingDefaults({ file, tokenizerFiles }: OpenedModel): SamplingDefaults {
  if (file.format === 'gguf') return samplingFromGguf(file)
  return samplingFromGenerationConfig(tokenizerFiles.generationConfig, file.name)
}
