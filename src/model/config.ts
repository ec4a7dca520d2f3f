/**
 * The numbers that define a decoder, whatever file they came from. Names follow docs/glossary.md.
 */

import type { Activation } from '../kernels/commands.ts'

export interface ModelConfig {
  /** What the file calls the architecture: a GGUF arch or a Hugging Face model_type. */
  readonly architecture: string
  readonly name: string
  readonly dim: number
  readonly nLayers: number
  readonly nHeads: number
  readonly nKvHeads: number
  readonly headDim: number
  readonly ffnDim: number
  readonly vocabSize: number
  /** Positions the model was trained for. */
  readonly contextLength: number
  readonly ropeTheta: number
  readonly normEps: number
  readonly activation: Activation
  /** SubLN: an RMSNorm before the output projection of attention and of the feed-forward. */
  readonly subNorms: boolean
  /** The head is the embedding table. */
  readonly tiedHead: boolean
  /** BitLinear (ternary weights, int8 activations) or plain dense products. */
  readonly linear: 'ternary' | 'dense'
}
