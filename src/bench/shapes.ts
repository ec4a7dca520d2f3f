/**
 * Shapes of published models, by name: what `bitnet bench --kernels`, `bitnet compare` and `bitnet
 * doctor` time. From the models' own config.json files; 3.9b and 7b from the b1.58 papers and LLaMA. 125m
 * and 350m have the widths and depths of Wang et al. 2023, table 5, with a gated feed-forward of 8/3 of
 * the width and the vocabulary of the others, so that one kind of model is compared over all sizes.
 */
import { UsageError } from '../errors.ts'
import { matricesOf, STACK_TITLES, STACKS, type Stack, stackShape } from '../model/layers.ts'

export interface ModelShape {
  /** The model as its publishers call it. */
  readonly title: string
  readonly dim: number
  readonly ffnDim: number
  readonly nLayers: number
  readonly nHeads: number
  readonly nKvHeads: number
  readonly headDim: number
  readonly vocabSize: number
}

const SHAPES = {
  '2b-4t': {
    title: 'BitNet b1.58 2B-4T',
    dim: 2560,
    ffnDim: 6912,
    nLayers: 30,
    nHeads: 20,
    nKvHeads: 5,
    headDim: 128,
    vocabSize: 128_256,
  },
  '125m': {
    title: 'BitNet 125M',
    dim: 768,
    ffnDim: 2048,
    nLayers: 12,
    nHeads: 12,
    nKvHeads: 12,
    headDim: 64,
    vocabSize: 32_002,
  },
  '350m': {
    title: 'BitNet 350M',
    dim: 1024,
    ffnDim: 2736,
    nLayers: 24,
    nHeads: 16,
    nKvHeads: 16,
    headDim: 64,
    vocabSize: 32_002,
  },
  '700m': {
    title: '1bitLLM b1.58 large',
    dim: 1536,
    ffnDim: 4096,
    nLayers: 24,
    nHeads: 16,
    nKvHeads: 16,
    headDim: 96,
    vocabSize: 32_002,
  },
  '1.3b': {
    title: '1bitLLM b1.58 xl',
    dim: 2048,
    ffnDim: 5460,
    nLayers: 24,
    nHeads: 32,
    nKvHeads: 32,
    headDim: 64,
    vocabSize: 32_002,
  },
  '3b': {
    title: '1bitLLM b1.58 3B',
    dim: 3200,
    ffnDim: 8640,
    nLayers: 26,
    nHeads: 32,
    nKvHeads: 32,
    headDim: 100,
    vocabSize: 32_002,
  },
  '3.9b': {
    title: 'BitNet b1.58 3.9B',
    dim: 3200,
    ffnDim: 12_800,
    nLayers: 26,
    nHeads: 32,
    nKvHeads: 32,
    headDim: 100,
    vocabSize: 32_002,
  },
  '7b': {
    title: 'LLaMA 7B',
    dim: 4096,
    ffnDim: 11_008,
    nLayers: 32,
    nHeads: 32,
    nKvHeads: 32,
    headDim: 128,
    vocabSize: 32_002,
  },
  'llama3-8b': {
    title: 'HF1BitLLM Llama3 8B 1.58',
    dim: 4096,
    ffnDim: 14_336,
    nLayers: 32,
    nHeads: 32,
    nKvHeads: 8,
    headDim: 128,
    vocabSize: 128_256,
  },
  'falcon3-1b': {
    title: 'Falcon3 1B 1.58',
    dim: 2048,
    ffnDim: 8192,
    nLayers: 18,
    nHeads: 8,
    nKvHeads: 4,
    headDim: 256,
    vocabSize: 131_072,
  },
  'falcon3-10b': {
    title: 'Falcon3 10B 1.58',
    dim: 3072,
    ffnDim: 23_040,
    nLayers: 40,
    nHeads: 12,
    nKvHeads: 4,
    headDim: 256,
    vocabSize: 131_072,
  },
} as const satisfies Record<string, ModelShape>

export type ShapeName = keyof typeof SHAPES

export const shapeNames = Object.keys(SHAPES) as readonly ShapeName[]

/** @throws UsageError with the names there are */
export function shapeNamed(name: string): ModelShape {
  return SHAPES[shapeName(name)]
}

/** @throws UsageError with the names there are */
export function shapeName(name: string): ShapeName {
  const known = shapeNames.find((shape) => shape === name)
  if (known !== undefined) return known
  throw new UsageError(`Expected a shape to be one of ${shapeNames.join(', ')}, got "${name}".`)
}

/** One of the products of a layer; q, k and v are one matrix, gate and up another. */
export interface ProductShape {
  readonly name: (typeof STACK_TITLES)[Stack]
  readonly rows: number
  readonly cols: number
}

export function layerProducts(shape: ModelShape): readonly ProductShape[] {
  return STACKS.map((stack) => ({
    name: STACK_TITLES[stack],
    ...stackShape(matricesOf(shape, stack)),
  }))
}

/** Weights in the ternary products of all layers. */
export function ternaryWeights(shape: ModelShape): number {
  const layer = layerProducts(shape).reduce((sum, { rows, cols }) => sum + rows * cols, 0)
  return layer * shape.nLayers
}
