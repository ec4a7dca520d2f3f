/**
 * The gate of a feed-forward: out = activation(gate) * up.
 *
 *   relu2   max(gate, 0)^2              BitNet b1.58 2B-4T
 *   silu    gate / (1 + e^-gate)        LLaMA and its kin (SwiGLU, Shazeer 2020)
 */
import type { Activation } from '../commands.ts'
import { exp32 } from '../float32.ts'

const f = Math.fround

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
  for (let row = 0; row < rows; row++) {
    const gate = row * 2 * cols
    for (let i = 0; i < cols; i++) {
      const g = gateUp[gate + i]
      const up = gateUp[gate + cols + i]
      out[row * cols + i] = f(activation === 'relu2' ? relu2(g) : silu(g)) * up
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
