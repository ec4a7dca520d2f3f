/**
 * A mixture's feed-forward in training and its gradients, as commands (model/forward.ts has the equations). Rows go
 * once for each of their experts, sorted by expert. The router is float32 and learns through the weights of the
 * experts that it chose, and by the loss that keeps experts evenly used (kernels/route-backward); which ones it chose
 * passes no gradient. Experts are BitLinears with the straight-through estimator, as in bit-linear.ts.
 *
 * Where rows go is not kept for the backward pass: the router runs again, to the same bits.
 */
import type { TernaryMatrix } from '../kernels/matrices.ts'
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import {
  latentsOf,
  type TrainedLinear,
  type TrainedRouting,
  type TrainingMemory,
} from './memory.ts'
import type { Parameter } from './plan.ts'
import { balanceOf, rowsOf, type TrainingShape } from './shape.ts'

/** What a layer's mixture is made of. */
interface Mixture {
  readonly rows: number
  /** Rows, once for each of their experts. */
  readonly sorted: { readonly rows: number }
  readonly experts: number
  readonly top: number
  readonly router: Parameter
  readonly routing: TrainedRouting
}

function mixtureOf(memory: TrainingMemory, shape: TrainingShape, index: number): Mixture {
  const { routing, layers } = memory
  const { router } = layers[index]
  const { experts } = shape.model
  if (!routing || !router || !experts) throw new TypeError('The model is no mixture of experts.')
  const rows = rowsOf(shape)
  const { count, top } = experts
  return { rows, sorted: { rows: rows * top }, experts: count, top, router, routing }
}

function codesOf({ codes }: TrainedLinear): TernaryMatrix {
  if (codes === undefined) throw new TypeError('Experts are quantised.')
  return codes
}

/** The norm, and where each row goes. */
function routeCommands(memory: TrainingMemory, shape: TrainingShape, index: number): Command[] {
  const { rows, experts, top, router, routing } = mixtureOf(memory, shape, index)
  const { dim: cols, normEps: eps } = shape.model
  const { middle: x } = memory.saved[index]
  const { ffnNorm } = memory.layers[index]
  const { normed, logits, weights, places, sources, chosen } = routing
  return [
    { op: 'rms-norm', rows, cols, eps, x, weight: ffnNorm.weights, out: normed },
    {
      ...{ op: 'matmul', rows, cols: experts, inner: cols, transposeB: true, halves: false },
      ...{ a: normed, b: router.weights, out: logits },
    },
    { op: 'route', rows, experts, top, logits, weights, places, sources, chosen },
  ]
}

/** The normed rows in their experts' order, as int8. */
function sortedInput(memory: TrainingMemory, shape: TrainingShape, index: number): Command[] {
  const { sorted, routing } = mixtureOf(memory, shape, index)
  const { dim: cols, normEps: eps } = shape.model
  const { normed, sources, rows: out } = routing
  return [
    { op: 'gather-rows', ...sorted, cols, x: normed, index: sources, out },
    {
      op: 'quantize',
      ...sorted,
      cols,
      eps,
      x: out,
      weight: undefined,
      out: memory.scratch.quantized,
    },
  ]
}

/** Up to the gates, which the layer keeps. */
export function expertGates(
  memory: TrainingMemory,
  shape: TrainingShape,
  index: number,
): Command[] {
  const { sorted, experts, routing } = mixtureOf(memory, shape, index)
  const weights = codesOf(memory.layers[index].linears.gateUp)
  const { chosen } = routing
  const x = memory.scratch.quantized
  const out = memory.saved[index].gateUp
  return [
    ...routeCommands(memory, shape, index),
    ...sortedInput(memory, shape, index),
    { op: 'expert-matmul', ...sorted, experts, weights, x, chosen, out },
  ]
}

/** From the gates to the experts' results, in routing.rows; what enters `down` stays in scratch.wide and, as int8, in
 * scratch.quantized. */
function expertResults(memory: TrainingMemory, shape: TrainingShape, index: number): Command[] {
  const { sorted, experts, routing } = mixtureOf(memory, shape, index)
  const { ffnDim: cols, activation, normEps: eps } = shape.model
  const { scratch, saved, layers } = memory
  const { gateUp } = saved[index]
  const { quantized: x, wide: hidden } = scratch
  const weight = layers[index].ffnSubNorm?.weights
  const weights = codesOf(layers[index].linears.down)
  const { chosen, rows: out } = routing
  return [
    { op: 'gated-activation', ...sorted, cols, activation, gateUp, out: hidden },
    { op: 'quantize', ...sorted, cols, eps, x: hidden, weight, out: x },
    { op: 'expert-matmul', ...sorted, experts, weights, x, chosen, out },
  ]
}

/** From the gates on: adds the weighted results of each row's experts to `out`. */
export function expertSums(
  memory: TrainingMemory,
  shape: TrainingShape,
  index: number,
  out: BufferSlice,
): Command[] {
  const { rows, top, routing } = mixtureOf(memory, shape, index)
  const { weights, places, rows: x } = routing
  return [
    ...expertResults(memory, shape, index),
    { op: 'expert-sum', rows, cols: shape.model.dim, top, x, weights, places, out },
  ]
}

/** Adds all gradients of the block: to those of its parameters, and to memory.dStream. */
export function expertBackward(
  memory: TrainingMemory,
  shape: TrainingShape,
  index: number,
): Command[] {
  const { rows, sorted, experts, top, router, routing } = mixtureOf(memory, shape, index)
  const { dim, ffnDim, activation, normEps: eps } = shape.model
  const { scratch, dStream, lossWeights } = memory
  const { middle, gateUp } = memory.saved[index]
  const { ffnNorm, ffnSubNorm, linears } = memory.layers[index]
  const { wide, inputs, gradients } = scratch
  const { normed, dNormed, logits, dLogits, weights, dWeights, ones, places, chosen } = routing
  const { rows: x, dRows } = routing
  const balance = balanceOf(shape) * experts
  const subNorm: Command[] = []
  if (ffnSubNorm !== undefined) {
    subNorm.push({
      ...{ op: 'rms-norm-backward', ...sorted, cols: ffnDim, eps, x: wide },
      ...{ weight: ffnSubNorm.weights, dOut: gradients, dx: inputs },
      ...{ dWeight: ffnSubNorm.gradient, accumulate: false },
    })
  }
  return [
    ...(shape.recompute === 'layer' ? [] : routeCommands(memory, shape, index)),
    ...expertResults(memory, shape, index),
    {
      ...{ op: 'expert-sum-backward', rows, cols: dim, top, x, weights, places },
      ...{ dOut: dStream, dx: dRows, dWeights },
    },
    ...linearGradients(memory, linears.down, {
      ...{ routing, rows: sorted.rows, experts, dOut: dRows, dx: gradients },
    }),
    ...subNorm,
    {
      ...{ op: 'gated-activation-backward', ...sorted, cols: ffnDim, activation, gateUp },
      ...{ dOut: ffnSubNorm === undefined ? gradients : inputs, dGateUp: wide },
    },
    ...sortedInput(memory, shape, index),
    ...linearGradients(memory, linears.gateUp, {
      ...{ routing, rows: sorted.rows, experts, dOut: wide, dx: dRows },
    }),
    {
      ...{ op: 'route-backward', rows, experts, top, balance, logits, weights, places, chosen },
      ...{ dWeights, counts: lossWeights, dLogits },
    },
    {
      ...{ op: 'matmul', rows: experts, cols: dim, inner: rows, a: dLogits, b: normed },
      ...{ out: router.gradient, transposeA: true, accumulate: true, halves: false },
    },
    {
      ...{ op: 'matmul', rows, cols: dim, inner: experts, a: dLogits, b: router.weights },
      ...{ out: dNormed, halves: false },
    },
    // Each row's gradients from its experts, all counting 1.
    { op: 'expert-sum', rows, cols: dim, top, x: dRows, weights: ones, places, out: dNormed },
    {
      ...{ op: 'rms-norm-backward', rows, cols: dim, eps, x: middle, weight: ffnNorm.weights },
      ...{ dOut: dNormed, dx: dStream, dWeight: ffnNorm.gradient, accumulate: true },
    },
  ]
}

/**
 * Adds the gradients of all experts' weights, and gives that of what entered, whose int8 lies in scratch.quantized and
 * which goes to scratch.inputs.
 */
function linearGradients(
  { scratch }: TrainingMemory,
  linear: TrainedLinear,
  {
    routing,
    rows,
    experts,
    dOut,
    dx,
  }: {
    routing: TrainedRouting
    rows: number
    experts: number
    dOut: BufferSlice
    dx: BufferSlice
  },
): Command[] {
  const { cols } = linear
  const { inputs: x, values: weights, quantized } = scratch
  const count = linear.rows / experts
  return [
    { op: 'dequantize', rows, cols, x: quantized, out: x },
    { op: 'unpack-ternary', rows: linear.rows, matrix: codesOf(linear), out: weights },
    {
      ...{ op: 'expert-matmul-backward', rows, cols, count, experts, x, weights },
      ...{ chosen: routing.chosen, dOut, dx, dWeights: latentsOf(linear).gradient },
    },
  ]
}
