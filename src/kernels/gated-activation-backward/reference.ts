/**
 * The gradient of out = a(gate) * up, with s = 1 / (1 + e^-z):
 *
 *   relu2   a' = 2 max(gate, 0)
 *   silu    a' = s (1 + gate (1 - s)), z = gate
 *   gelu    a' = s (1 + gate (1 - s) z'), z as in gated-activation
 *
 *   dGate = dOut up a',   dUp = dOut a
 */
import { exp32 } from '../float32.ts'
import { type Activation, GELU_CUBIC, GELU_LINEAR } from '../gated-activation/reference.ts'

const f = Math.fround
const GELU_SLOPE = f(3 * GELU_CUBIC)

interface Memory {
  readonly gateUp: Float32Array
  readonly dOut: Float32Array
  readonly dGateUp: Float32Array
}

/** The activation and its slope. */
function valueAndSlope(g: number, activation: Activation): readonly [number, number] {
  if (activation === 'relu2') {
    const positive = Math.max(g, 0)
    return [f(positive * positive), f(2 * positive)]
  }
  const square = f(g * g)
  const isGelu = activation === 'gelu'
  const z = isGelu ? f(g * f(GELU_LINEAR + f(GELU_CUBIC * square))) : g
  const dz = isGelu ? f(GELU_LINEAR + f(GELU_SLOPE * square)) : 1
  const s = f(1 / f(1 + exp32(-z)))
  return [f(g * s), f(s * f(1 + f(f(g * f(1 - s)) * dz)))]
}

export function gatedActivationBackward(
  { gateUp, dOut, dGateUp }: Memory,
  { rows, cols, activation }: { rows: number; cols: number; activation: Activation },
): void {
  for (let row = 0; row < rows; row++) {
    const gate = row * 2 * cols
    for (let i = 0; i < cols; i++) {
      const d = dOut[row * cols + i]
      const [value, slope] = valueAndSlope(gateUp[gate + i], activation)
      const up = gateUp[gate + cols + i]
      dGateUp[gate + i] = f(f(d * up) * slope)
      dGateUp[gate + cols + i] = f(d * value)
    }
  }
}
