/**
 * Latent weights as ternary codes with one scale (ternary/quantize.ts has both quantisers on plain arrays):
 *
 *   absmean   scale = max(mean|w|, 1e-5), code = clamp(round(w / scale), -1, 1)   b1.58 (Ma et al. 2024)
 *   sign      scale = mean|w|, code = sign(w - mean(w)), an exact zero 0          b1 (Wang et al. 2023, in
 *             the form of the authors' later code, Training Tips 2024, figure 5)
 *
 * The sums are float64 and go by stripes of 16 rows: within one, column i is added up in lane i & 15, row
 * after row, and the lanes as a tree; then the stripes in order.
 */
import { packRows, padToTile, SCALE_FLOOR, TILE } from '../../ternary/index.ts'
import { LANES, sumLanes } from '../float32.ts'
import type { TernaryWeights } from '../ternary-matmul/reference.ts'

const f = Math.fround

/** How latent weights are quantised; native code knows each by its place here. */
export const WEIGHT_MODES = ['absmean', 'sign'] as const
export type WeightMode = (typeof WEIGHT_MODES)[number]

/** The mean of what `term` makes of each weight. */
function meanOf(
  latents: Float32Array,
  rows: number,
  cols: number,
  term: (w: number) => number,
): number {
  const lanes = new Float64Array(LANES)
  let total = 0
  for (let stripe = 0; stripe < rows; stripe += TILE) {
    lanes.fill(0)
    for (let row = stripe; row < Math.min(rows, stripe + TILE); row++) {
      for (let col = 0; col < cols; col++) lanes[col & 15] += term(latents[row * cols + col])
    }
    total += sumLanes(lanes)
  }
  return f(total / (rows * cols))
}

/**
 * @param out all of it is written, padding too
 * @param latents (out.rows, out.cols)
 */
export function quantizeWeights(
  out: TernaryWeights,
  latents: Float32Array,
  mode: WeightMode,
): void {
  const { rows, cols, scales } = out
  const magnitude = meanOf(latents, rows, cols, Math.abs)
  const codes = new Int8Array(rows * cols)
  if (mode === 'absmean') {
    const scale = Math.max(magnitude, f(SCALE_FLOOR))
    const inverse = f(1 / scale)
    for (let i = 0; i < codes.length; i++) {
      const scaled = f(latents[i] * inverse)
      codes[i] = scaled > 0.5 ? 1 : scaled < -0.5 ? -1 : 0
    }
    scales.fill(scale, 0, padToTile(rows))
  } else {
    const mean = meanOf(latents, rows, cols, (w) => w)
    for (let i = 0; i < codes.length; i++) codes[i] = Math.sign(f(latents[i] - mean))
    scales.fill(magnitude, 0, padToTile(rows))
  }
  packRows(out, codes, rows, 0)
}
