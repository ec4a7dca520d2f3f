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
 */
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import type { Parameter, Scratch, TrainedLinear } from './memory.ts'

/** What goes into a product. */
export interface LinearInput {
  readonly x: BufferSlice
  /** Undefined: x goes in as it is. */
  readonly norm: Parameter | undefined
  readonly eps: number
}

/** Codes of latent weights, once for all passes of a step. */
export function quantizeLinear({ matrices }: TrainedLinear, mode: 'absmean' | 'sign'): Command[] {
  return matrices.map(({ latents, codes }) => ({
    op: 'quantize-weights',
    rows: codes.rows,
    mode,
    latents,
    out: codes,
  }))
}

/** out (rows, linear.rows) = the product, or out plus that. */
export function linearForward(
  linear: TrainedLinear,
  input: LinearInput,
  scratch: Scratch,
  { rows, out, accumulate }: { rows: number; out: BufferSlice; accumulate: boolean },
): Command[] {
  const { codes } = linear
  if (codes !== undefined) {
    return [
      quantizeInput(linear, input, scratch, rows),
      { op: 'ternary-matmul', rows, weights: codes, x: scratch.quantized, out, accumulate },
    ]
  }
  const { commands, values } = inputValues(linear, input, scratch, rows)
  return [
    ...commands,
    {
      op: 'matmul',
      rows,
      cols: linear.rows,
      inner: linear.cols,
      a: values,
      b: linear.weights,
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
  const { commands, values } = inputValues(linear, input, scratch, rows)
  commands.push({
    op: 'matmul',
    rows: linear.rows,
    cols: linear.cols,
    inner: rows,
    a: dOut,
    b: values,
    out: linear.gradient,
    transposeA: true,
    accumulate: true,
  })
  let weights = linear.weights
  if (linear.codes !== undefined) {
    weights = scratch.values
    commands.push({
      op: 'unpack-ternary',
      rows: linear.rows,
      matrix: linear.codes,
      out: weights,
    })
  }
  const dInput = norm === undefined ? dx : scratch.gradients
  commands.push({
    op: 'matmul',
    rows,
    cols: linear.cols,
    inner: linear.rows,
    a: dOut,
    b: weights,
    out: dInput,
    accumulate: norm === undefined && accumulate,
  })
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
  const out = scratch.inputs
  if (codes !== undefined) {
    const dequantized: Command = { op: 'dequantize', rows, cols, x: scratch.quantized, out }
    return { commands: [quantizeInput(linear, input, scratch, rows), dequantized], values: out }
  }
  if (norm === undefined) return { commands: [], values: x }
  return {
    commands: [{ op: 'rms-norm', rows, cols, eps, x, weight: norm.weights, out }],
    values: out,
  }
}
