/**
 * The numbers that define a decoder, whatever file they came from. Names follow docs/glossary.md.
 */

import type { Activation } from '../../kernels/gated-activation/reference.ts'
import type { RopeScaling } from './rope-scaling.ts'

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
  /** For a context longer than the first training's; not in layers with a window. Unset: none. */
  readonly ropeScaling?: RopeScaling | undefined
  readonly normEps: number
  readonly activation: Activation
  /** SubLN: an RMSNorm before the output projection of attention and of the feed-forward. */
  readonly subNorms: boolean
  /** The head is the embedding table. */
  readonly tiedHead: boolean
  /** BitLinear (ternary weights, int8 activations) or plain dense products. */
  readonly linear: 'ternary' | 'dense'
  /**
   * Query, key, value, gate and up each have an RMSNorm of their own after the one they share; those
   * of the other two projections are the sub-norms (BitNet embedding models). Unset: false.
   */
  readonly inputNorms?: boolean | undefined
  /** An RMSNorm of each query and key head before rotation (Qwen 3, Gemma 3). Unset: false. */
  readonly headNorms?: boolean | undefined
  /** An RMSNorm of what a block adds to the residual stream (Gemma 3). Unset: false. */
  readonly postNorms?: boolean | undefined
  /** The file holds w for norms that multiply with 1 + w (Gemma in safetensors). Unset: false. */
  readonly shiftedNorms?: boolean | undefined
  /**
   * A mixture of experts (Mixtral, Qwen 3 MoE): `ffnDim` is the width of one, and each token goes to the `top` of
   * them with the largest logits of a router, weighed by the softmax of these. Unset: one feed-forward.
   */
  readonly experts?: Experts | undefined
  /** What embeddings are multiplied with (Gemma: sqrt(dim)). Unset: 1. */
  readonly embeddingFactor?: number | undefined
  /** Layers that attend to the last positions only (Gemma 3). Unset: none. */
  readonly localAttention?: LocalAttention | undefined
}

export interface Experts {
  readonly count: number
  /** Experts that a token goes to. */
  readonly top: number
}

export interface LocalAttention {
  /** Positions that a token attends to, its own included. */
  readonly window: number
  readonly ropeTheta: number
  /** Which layers, counted from 0. */
  readonly layers: readonly number[]
}
