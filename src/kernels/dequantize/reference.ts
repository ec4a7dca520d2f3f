/** The values of int8 activations, q * scale, as the gradient of a weight wants them. */
import { padToTile } from '../../ternary/index.ts'
import type { QuantizedRows } from '../quantize/reference.ts'

/** @param out (rows, cols) */
export function dequantize(out: Float32Array, x: QuantizedRows, rows: number, cols: number): void {
  const stride = padToTile(cols)
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < cols; i++) out[row * cols + i] = x.q[row * stride + i] * x.scales[row]
  }
}
