/**
 * About how long a token of a model so large takes on a backend: what 'auto' compares a GPU with processors by,
 * before there is a model to try.
 */
import type { Backend } from '../backends/backend.ts'
import type { Command } from '../kernels/ops.ts'
import { denseBytes } from './costs.ts'
import {
  attentionCase,
  headCase,
  type KernelCase,
  quantizeCase,
  ternaryCase,
} from './kernel-cases.ts'
import { type Allocate, type PassOptions, timeCommands } from './pass-timing.ts'
import {
  layerProducts,
  type ModelShape,
  type ShapeName,
  shapeNamed,
  shapeNames,
  ternaryWeights,
} from './shapes.ts'

const HEAD = 'int8'
/** Positions that a token attends to. */
const POSITIONS = 256
/** Weights that are made for it at most; of larger models layers are timed more than once. */
const MOST_BYTES = 256 << 20

/** The shape whose weights come nearest to so many bytes, as a ratio. */
export function shapeOfSize(byteLength: number): ShapeName {
  const distance = (name: ShapeName) =>
    Math.abs(Math.log(modelBytes(shapeNamed(name)) / byteLength))
  return shapeNames.reduce((best, name) => (distance(name) < distance(best) ? name : best))
}

/** Of its weights, two bits for a ternary one, with a head in int8. */
export function modelBytes(shape: ModelShape): number {
  const { vocabSize: rows, dim: cols } = shape
  return (
    ternaryWeights(shape) / 4 +
    denseBytes({ type: HEAD, rows, cols, data: { byteLength: rows * cols } })
  )
}

/**
 * Seconds of a token: the products of all layers, what lies between them, and the head, with as many tokens handed
 * over together as the backend's decoder does. The fastest pass counts.
 */
export async function timeToken(
  backend: Backend,
  shape: ModelShape,
  options: PassOptions,
): Promise<number> {
  const head = headCase(shape, HEAD, 1)
  const layer = layerProducts(shape).flatMap((product): KernelCase[] => [
    quantizeCase({ ...shape, dim: product.cols }, 1),
    ternaryCase(product, 1),
  ])
  layer.splice(2, 0, attentionCase(shape, POSITIONS, 1, 'f16'))
  const layerBytes = ternaryWeights(shape) / 4 / shape.nLayers
  const made = Math.max(1, Math.min(shape.nLayers, Math.floor(MOST_BYTES / layerBytes)))
  const steps = backend.steps ?? 1
  const make = (allocate: Allocate): Command[] => {
    const prepared = layer.map((own) => own.prepare(allocate))
    const layers = Array.from({ length: made }, () => prepared.map((one) => one()))
    const token = Array.from({ length: shape.nLayers }, (_, i) => layers[i % made]).flat()
    const all = [...token, head.prepare(allocate)()]
    return Array.from({ length: steps }, () => all).flat()
  }
  return Math.min(...(await timeCommands(backend, make, options))) / steps
}
