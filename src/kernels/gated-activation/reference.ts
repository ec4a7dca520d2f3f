/**
 * The gate of a feed-forward: out = activation(gate) * up.
 *
 *   relu2   max(gate, 0)^2              BitNet b1.58 2B-4T
 *   silu    gate / (1 + e^-gate)        LLaMA and its kin (SwiGLU, Shazeer 2020)
 *   gelu    gate (1 + tanh(z / 2)) / 2  Gemma (GEGLU), in the tanh approximation of Hendrycks and
 *                                       Gimpel 2016, z = 2 sqrt(2 / pi) (gate + 0.044715 gate^3);
 *                                       the same as gate / (1 + e^-z), which is what is computed
 */
import { exp32 } from '../float32.ts'

const f = Math.fround

/** 2 sqrt(2 / pi), and 0.044715 times it. */
export const GELU_LINEAR: number = f(1.5957691216)
export const GELU_CUBIC: number = f(0.07135481627)

/** All of them; native code knows them by their place here. */
export const ACTIVATIONS = ['relu2', 'silu', 'gelu'] as const
export type Activation = (typeof ACTIVATIONS)[number]

const FUNCTIONS: Readonly<Record<Activation, (gate: number) => number>> = { relu2, silu, gelu }

/**
 * @param out (rows, cols)
 * @param gateUp (rows, 2 * cols): gate, then up
 */
export function gatedActivation(
  out: Float32Array,
  gateUp: Float32Array,
  activation: Activation,
  rows: number,
  cols: number,
): void {
  const activate = FUNCTIONS[activation]
  for (let row = 0; row < rows; row++) {
    const gate = row * 2 * cols
    for (let i = 0; i < cols; i++) {
      const g = gateUp[gate + i]
      const up = gateUp[gate + cols + i]
      out[row * cols + i] = f(activate(g)) * up
    }
  }
}

function relu2(g: number): number {
  const positive = Math.max(g, 0)
  return positive * positive
}

function silu(g: number): number {
  return g / f(1 + exp32(-g))
}

function gelu(g: number): number {
  const z = f(g * f(GELU_LINEAR + f(GELU_CUBIC * f(g * g))))
  return g / f(1 + exp32(-z))
}
