/**
 * The rotation of one head as the papers' formulas say it, one wavelength at a time and in float64, for
 * the plain decoder.
 */
import type { ModelConfig } from '../../src/model/config/config.ts'

const f = Math.fround

type Rotation = Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>

/** Every head in x (a multiple of headDim) turned as at `position`, half pairs. */
export function rotated(x: Float32Array, position: number, rotation: Rotation): Float32Array {
  const { headDim, ropeScaling: scaling } = rotation
  const half = headDim / 2
  const growth = scaling?.type === 'yarn' ? scaling.attentionFactor : 1
  return x.map((v, i) => {
    const d = i % headDim
    const angle = (position * 2 * Math.PI) / wavelength(d % half, rotation)
    const [cos, sin] = [f(growth * Math.cos(angle)), f(growth * Math.sin(angle))]
    return d < half ? f(v * cos) - f(x[i + half] * sin) : f(v * cos) + f(x[i - half] * sin)
  })
}

/** Positions in which a pair turns once. */
function wavelength(pair: number, { headDim, ropeTheta, ropeScaling: scaling }: Rotation): number {
  const wave = 2 * Math.PI * ropeTheta ** ((2 * pair) / headDim)
  if (scaling === undefined) return wave
  const { factor } = scaling
  if (scaling.type === 'linear') return wave * factor
  const context = scaling.originalContext
  if (scaling.type === 'llama3') {
    const { lowFrequencyFactor: low, highFrequencyFactor: high } = scaling
    if (wave < context / high) return wave
    if (wave > context / low) return wave * factor
    const smooth = (context / wave - low) / (high - low)
    return 1 / ((1 - smooth) / (wave * factor) + smooth / wave)
  }
  const pairOf = (turns: number) =>
    (headDim * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(ropeTheta))
  const first = Math.max(0, Math.floor(pairOf(scaling.betaFast)))
  const last = Math.min(headDim - 1, Math.ceil(pairOf(scaling.betaSlow)))
  if (pair <= first) return wave
  if (pair >= last) return wave * factor
  const ramp = (pair - first) / (last - first)
  return 1 / (ramp / (wave * factor) + (1 - ramp) / wave)
}
