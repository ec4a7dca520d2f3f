/**
 * The road from a source to a model, the same in Node and in browsers: options, file, configuration,
 * backend, weights, decoder, and on to text. Speed tests leave it at the engine.
 */
import type { Backend, BackendOptions } from '../../backends/backend.ts'
import { BackendError } from '../../errors.ts'
import type { OpenedModel } from '../../formats/model-file.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { configToRun } from '../../model/config/read-config.ts'
import { Decoder } from '../../model/decoder.ts'
import { measureFfnZeros } from '../../model/ffn-zeros.ts'
import { type LoadedWeights, loadWeights } from '../../model/weights/load-weights.ts'
import type { ImageReport, WeightImages } from '../../model/weights/weight-images.ts'
import { estimateMemory } from '../../model/weights/weight-memory.ts'
import type { Steps } from '../../steps.ts'
import { takingTurns } from '../../turns.ts'
import { createLanguageModel } from '../create-language-model.ts'
import type { LanguageModel } from '../language-model.ts'
import { checkLoadOptions, type LoadOptions } from './load-options.ts'
import { loadText, type ModelText } from './load-text.ts'

/** What Node and browsers do each in their own way. */
export interface LoadingPlace<Source> {
  /** Finds and opens a model. Its file is closed when its weights are in the backend's memory. */
  open(source: Source, options: LoadOptions): Promise<OpenedModel>
  openBackend(options: BackendOptions): Promise<Backend>
  /** The machine's memory; absent where nobody tells. */
  memoryBytes?(): number
  /** What keeps packed weights between two starts; absent, or giving nothing: nothing does. */
  images?(source: Source): WeightImages | undefined
}

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
 * Loads a model that generates.
 *
 * @throws ModelNotFoundError | FormatError | BackendError | UsageError, or the signal's reason; nothing
 *   stays open or allocated then
 */
export function loadModelAt<Source>(
  place: LoadingPlace<Source>,
  source: Source,
  options: LoadOptions,
): Promise<LanguageModel> {
  return load(place, source, options, loadText, toLanguageModel)
}

/** Loads an engine, without tokenizer, sampling or text. Throws as {@link loadModelAt}. */
export function loadEngineAt<Source>(
  place: LoadingPlace<Source>,
  source: Source,
  options: LoadOptions,
): Promise<LoadedEngine> {
  function* nothing(): Steps<void> {}
  return load(place, source, options, nothing, (engine) => engine)
}

/**
 * @param prepare what else is needed of the file: called while other threads read an image, or before
 *   weights are loaded from the model's file, which takes seconds that would be lost if it fails
 * @param finish makes what is wanted of the engine and that
 */
async function load<Source, Rest, Loaded>(
  place: LoadingPlace<Source>,
  source: Source,
  options: LoadOptions,
  prepare: (opened: OpenedModel, config: ModelConfig) => Steps<Rest>,
  finish: (engine: LoadedEngine, rest: Rest) => Loaded,
): Promise<Loaded> {
  const began = performance.now()
  checkLoadOptions(options)
  options.signal?.throwIfAborted()
  const opened = await place.open(source, options)
  const { file } = opened
  try {
    const config = await configToRun(file)
    const rest = once(() => takingTurns(prepare(opened, config), options.signal))
    // An error comes again where the value is needed.
    const meanwhile = async () => void (await rest().catch(() => {}))
    const expectedBytes = estimateMemory(file, config, options)
    const open = (without?: BackendOptions['without']) =>
      place.openBackend({ ...options, expectedBytes, without })
    const loadOn = async (backend: Backend): Promise<Loaded> => {
      let kept: Promise<ImageReport> | undefined
      try {
        const fromFile = async (): Promise<LoadedWeights> => {
          await rest()
          return loadWeights(backend, file, config, options)
        }
        const images = options.image === false ? undefined : place.images?.(source)
        const request = { backend, file, config, options, meanwhile }
        const found = await images?.load(request, fromFile)
        kept = found?.kept
        const weights = found?.weights ?? (await fromFile())
        const { kv: cacheType, cacheMemory: mebibytes } = options
        const cacheMemory = mebibytes && mebibytes * 2 ** 20
        const { memoryBytes } = place
        const cache = { cacheType, cacheMemory, machineMemory: memoryBytes?.() }
        const decoder = new Decoder(backend, config, weights, { ...options, ...cache })
        const engine = engineOf({
          ...{ backend, weights, decoder, loadMs: performance.now() - began },
          ...(found && { image: found.image, kept: found.kept }),
        })
        return finish(engine, await rest())
      } catch (error) {
        await kept
        // Frees all that was allocated on it.
        await backend.dispose()
        throw error
      }
    }
    const backend = await open()
    try {
      return await loadOn(backend)
    } catch (error) {
      // A GPU that has no room for the model may have been nobody's wish.
      if (backend.name !== 'webgpu' || !(error instanceof BackendError)) throw error
      return await loadOn(await open({ webgpu: error.message }))
    }
  } finally {
    // The weights are in the backend's memory by now, or not needed any more.
    await file.close()
  }
}

/** Apart from what loads it: a function made there would keep the file's header for as long as the model lives. */
function engineOf(engine: Omit<LoadedEngine, 'dispose'>): LoadedEngine {
  const { backend, weights, decoder, kept } = engine
  return {
    ...engine,
    async dispose() {
      await kept
      decoder.dispose()
      weights.dispose()
      await backend.dispose()
    },
  }
}

function toLanguageModel(engine: LoadedEngine, text: ModelText): LanguageModel {
  const { backend, weights, decoder, image, kept, loadMs } = engine
  const { name, isa, threads, description } = backend
  const weightsFrom = image?.state === 'mapped' ? 'image' : 'file'
  const { config, activationBytes, cacheBytesPerToken } = decoder
  const { ternaryBytes, denseBytes } = weights
  const memory = { ternaryBytes, denseBytes, activationBytes, cacheBytesPerToken }
  return createLanguageModel({
    name: config.name,
    engine: decoder,
    ffnZeros: (tokens, signal) => measureFfnZeros(backend, config, weights, tokens, signal),
    ...text,
    backend: { name, isa, threads, description, weightsFrom },
    memory: { ...memory, ...(image && { image }) },
    imageKept: kept,
    loadMs,
    dispose: () => engine.dispose(),
  })
}

/** What `make` gives, which is called at most once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
