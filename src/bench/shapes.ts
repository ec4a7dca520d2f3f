/**
 * Shapes of published models, by name: what `bitnet bench --kernels`, `bitnet compare` and `bitnet
 * doctor` time. From the models' own config.json files; 3.9b and 7b from the b1.58 papers and LLaMA. 125m
 * and 350m have the widths and depths of Wang et al. 2023, table 5, with a gated feed-forward of 8/3 of
 * the width and the vocabulary of the others, so that one kind of model is compared over all sizes.
 */
import { UsageError } from '../errors.ts'
import type { Experts } from '../model/config/config.ts'
import {
  expertsIn,
  matricesOf,
  STACK_TITLES,
  STACKS,
  type Stack,
  stackShape,
} from '../model/layers.ts'

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
  /** `ffnDim` is then the width of one. Unset: one feed-forward. */
  readonly experts?: Experts | undefined
}

/** Heads split the width among them; without their own heads of keys and values and vocabulary, a LLaMA's. */
function shape(
  title: string,
  dim: number,
  ffnDim: number,
  nLayers: number,
  nHeads: number,
  nKvHeads = nHeads,
  vocabSize = 32_002,
): ModelShape {
  return { title, dim, ffnDim, nLayers, nHeads, nKvHeads, headDim: dim / nHeads, vocabSize }
}

/** Title, width, feed-forward, layers, heads, and where they differ heads of keys, and vocabulary. */
const SHAPES = {
  '2b-4t': shape('BitNet b1.58 2B-4T', 2560, 6912, 30, 20, 5, 128_256),
  '125m': shape('BitNet 125M', 768, 2048, 12, 12),
  '350m': shape('BitNet 350M', 1024, 2736, 24, 16),
  '700m': shape('1bitLLM b1.58 large', 1536, 4096, 24, 16),
  '1.3b': shape('1bitLLM b1.58 xl', 2048, 5460, 24, 32),
  '3b': shape('1bitLLM b1.58 3B', 3200, 8640, 26, 32),
  '3.9b': shape('BitNet b1.58 3.9B', 3200, 12_800, 26, 32),
  '7b': shape('LLaMA 7B', 4096, 11_008, 32, 32),
  'llama3-8b': shape('HF1BitLLM Llama3 8B 1.58', 4096, 14_336, 32, 32, 8, 128_256),
  'falcon3-1b': shape('Falcon3 1B 1.58', 2048, 8192, 18, 8, 4, 131_072),
  'falcon3-10b': shape('Falcon3 10B 1.58', 3072, 23_040, 40, 12, 4, 131_072),
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

/** One of the products of a layer, or of one expert in it; q, k and v are one matrix, gate and up another. */
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

/** Weights in the ternary products of all layers, of all experts. */
export function ternaryWeights(shape: ModelShape): number {
  const layer = STACKS.reduce((sum, stack) => {
    const { rows, cols } = stackShape(matricesOf(shape, stack))
    return sum + rows * cols * expertsIn(shape, stack)
  }, 0)
  return layer * shape.nLayers
}
