/**
 * What keeps packed weights between two starts: asked for weights, it gives those that it kept, or
 * loads them and keeps them. The model layer knows that much; src/node/images/ has the files.
 */
import type { Backend } from '../../backends/backend.ts'
import type { ModelFile } from '../../formats/model-file.ts'
import type { ModelConfig } from '../config/config.ts'
import type { LoadedWeights, WeightOptions } from './load-weights.ts'

/** What a loading of weights depends on. */
export interface WeightRequest {
  readonly backend: Backend
  readonly file: ModelFile
  readonly config: ModelConfig
  readonly options: WeightOptions
  /**
   * Work of the calling thread that can be done while other threads read an image: called when that has
   * begun, and before a load that is timed. Never fails; does nothing when called again.
   */
  readonly meanwhile?: (() => Promise<void>) | undefined
}

/** Where the weights of this start came from, and what became of their packed image. */
export interface ImageReport {
  /**
   * 'mapped': from an image that was there. 'writing': from the model's file, and an image is being
   * written beside whatever the model does. 'written': from the model's file, and an image now lies
   * there for the next start. 'none': from the model's file, and no image was written.
   */
  readonly state: 'mapped' | 'writing' | 'written' | 'none'
  /** Of the image. */
  readonly path?: string
  readonly byteLength?: number
  /** Why there is no image, or why the one that was there was not used. */
  readonly reason?: string
}

export interface KeptWeights {
  readonly weights: LoadedWeights
  readonly image: ImageReport
  /**
   * Settles when no image is being written any more, and never fails: until then the weights and their
   * backend must stay.
   */
  readonly kept: Promise<ImageReport>
}

export interface WeightImages {
  /**
   * @param load loads the weights from the model's file
   * @throws what `load` throws; an image that cannot be used or written is a reason in the report
   */
  load(request: WeightRequest, load: () => Promise<LoadedWeights>): Promise<KeptWeights>
}
