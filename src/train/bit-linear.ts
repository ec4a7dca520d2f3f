/**
 * BitLinear and its gradients (Wang et al. 2023; Ma et al. 2024; the authors' code in Training Tips 2024), as
 * commands. With xn = RMSNorm(x) where there is a norm, xq its int8 values times their scale, wq the codes of
 * the latent weights w times theirs:
 *
 *   y = xq wq^T,   dxn = dy wq,   dw = dy^T xq
 *
 * The straight-through estimator takes rounding, clamps and scales for the identity: no gradient goes through
 * them, so that dxn is the gradient of xn, and dw that of w. Unquantised, xq is xn and wq is w.
 *
 * The forward product is the one of inference, int8 by ternary and exact: a trained model's logits are those
 * that its export has. Both gradients are float32 products.
 *
 * While quantisers come in (scratch.share), xn + share (xq - xn) and w + share (wq - w) are in the place of xq and wq,
 * and the forward product is a float32 one too.
 */
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import { adapterBackward, adapterForward } from './low-rank.ts'
import { latentsOf, type Scratch, type TrainedLinear } from './memory.ts'
import type { Parameter } from './plan.ts'

/** What goes into a product. */
export interface LinearInput {
  readonly x: BufferSlice
  /** Undefined: x goes in as it is. */
  readonly norm: Parameter | undefined
  readonly eps: number
}

/** Codes of latent weights, once for all passes of a step. */
export function quantizeLinear({ matrices }: TrainedLinear, mode: 'absmean' | 'sign'): Command[] {
  return matrices.flatMap(({ latents, codes }): Command[] =>
    latents ? [{ op: 'quantize-weights', rows: codes.rows, mode, latents, out: codes }] : [],
  )
}

/** out (rows, linear.rows) = the product, or out plus that. */
export function linearForward(
  linear: TrainedLinear,
  input: LinearInput,
  scratch: Scratch,
  { rows, out, accumulate }: { rows: number; out: BufferSlice; accumulate: boolean },
): Command[] {
  const { codes } = linear
  if (codes !== undefined && scratch.share === undefined) {
    return [
      quantizeInput(linear, input, scratch, rows),
      { op: 'ternary-matmul', rows, weights: codes, x: scratch.quantized, out, accumulate },
      ...adapted(linear, input, scratch, rows, out),
    ]
  }
  const { commands, values } = inputValues(linear, input, scratch, rows)
  const weights = weightValues(linear, scratch)
  return [
    ...commands,
    ...weights.commands,
    {
      op: 'matmul',
      rows,
      cols: linear.rows,
      inner: linear.cols,
      a: values,
      b: weights.values,
      out,
      transposeB: true,
      accumulate,
    },
  ]
}

/**
 * Adds the gradients of the weights, and gives that of x: in `dx`, or added to it. dOut must be neither
 * scratch.inputs nor scratch.gradients; dx may be the former.
 */
export function linearBackward(
  linear: TrainedLinear,
  input: LinearInput,
  scratch: Scratch,
  gradients: { rows: number; dOut: BufferSlice; dx: BufferSlice; accumulate: boolean },
): Command[] {
  const { rows, dOut, dx, accumulate } = gradients
  const { x, norm, eps } = input
  const commands: Command[] = []
  if (linear.latents !== undefined) {
    const { commands: making, values } = inputValues(linear, input, scratch, rows)
    commands.push(...making, {
      op: 'matmul',
      rows: linear.rows,
      cols: linear.cols,
      inner: rows,
      a: dOut,
      b: values,
      out: linear.latents.gradient,
      transposeA: true,
      accumulate: true,
    })
  }
  const weights = weightValues(linear, scratch)
  commands.push(...weights.commands)
  const dInput = norm === undefined ? dx : scratch.gradients
  commands.push({
    op: 'matmul',
    rows,
    cols: linear.cols,
    inner: linear.rows,
    a: dOut,
    b: weights.values,
    out: dInput,
    accumulate: norm === undefined && accumulate,
  })
  if (scratch.adapters !== undefined) {
    const { making, values } = normedInput(linear, input, scratch, rows)
    const own = { rows, cols: linear.cols, values }
    commands.push(...making)
    commands.push(...adapterBackward(linear.adapters, own, scratch.adapters, { dOut, dInput }))
  }
  if (norm !== undefined) {
    commands.push({
      op: 'rms-norm-backward',
      rows,
      cols: linear.cols,
      eps,
      x,
      weight: norm.weights,
      dOut: dInput,
      dx,
      dWeight: norm.gradient,
      accumulate,
    })
  }
  return commands
}

function quantizeInput(
  { cols }: TrainedLinear,
  { x, norm, eps }: LinearInput,
  { quantized }: Scratch,
  rows: number,
): Command {
  return { op: 'quantize', rows, cols, eps, x, weight: norm?.weights, out: quantized }
}

/** The values that go into the float product: computed again, as they are cheap, and large to keep. */
function inputValues(
  linear: TrainedLinear,
  input: LinearInput,
  scratch: Scratch,
  rows: number,
): { commands: Command[]; values: BufferSlice } {
  const { cols, codes } = linear
  const { x, norm, eps } = input
  const { inputs: out, share } = scratch
  const normed = (to: BufferSlice): Command[] =>
    norm ? [{ op: 'rms-norm', rows, cols, eps, x, weight: norm.weights, out: to }] : []
  if (codes === undefined) return { commands: normed(out), values: norm ? out : x }
  const commands: Command[] = [
    quantizeInput(linear, input, scratch, rows),
    { op: 'dequantize', rows, cols, x: scratch.quantized, out },
  ]
  if (share !== undefined) {
    commands.push(...normed(scratch.gradients))
    commands.push({ op: 'blend', rows, cols, x: norm ? scratch.gradients : x, out, share })
  }
  return { commands, values: out }
}

/** What enters, behind its norm and not quantised: in scratch.inputs where there is one. */
function normedInput(
  { cols }: TrainedLinear,
  { x, norm, eps }: LinearInput,
  { inputs: out }: Scratch,
  rows: number,
): { making: Command[]; values: BufferSlice } {
  if (norm === undefined) return { making: [], values: x }
  return {
    making: [{ op: 'rms-norm', rows, cols, eps, x, weight: norm.weights, out }],
    values: out,
  }
}

/** What adapters add to the product. */
function adapted(
  linear: TrainedLinear,
  input: LinearInput,
  scratch: Scratch,
  rows: number,
  out: BufferSlice,
): Command[] {
  if (scratch.adapters === undefined) return []
  const { making, values } = normedInput(linear, input, scratch, rows)
  const own = { rows, cols: linear.cols, values }
  return [...making, ...adapterForward(linear.adapters, own, scratch.adapters, out)]
}

/** The values of the weights that go into a float product. */
function weightValues(
  linear: TrainedLinear,
  { values: out, share }: Scratch,
): { commands: Command[]; values: BufferSlice } {
  const { rows, cols, codes } = linear
  if (codes === undefined) return { commands: [], values: latentsOf(linear).weights }
  const commands: Command[] = [{ op: 'unpack-ternary', rows, matrix: codes, out }]
  if (share !== undefined) {
    commands.push({ op: 'blend', rows, cols, x: latentsOf(linear).weights, out, share })
  }
  return { commands, values: out }
}
