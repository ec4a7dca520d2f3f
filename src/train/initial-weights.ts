/** Weights before the first step: normal numbers, those of projections onto the residual stream smaller. */
import { normals } from './counted-random.ts'
import type { PlannedPart, TrainingPlan } from './plan.ts'

/** As in GPT-2 and its kin (Radford et al. 2019). */
const DEVIATION = 0.02

export function initialWeights(plan: TrainingPlan, part: PlannedPart, seed: number): Float32Array {
  if (part.kind === 'norm') return new Float32Array(part.count).fill(1)
  const isResidual = part.role === 'output' || part.role === 'down'
  const share = isResidual ? 1 / Math.sqrt(2 * plan.shape.model.nLayers) : 1
  // Each part has a stream of its own, by its place in the arenas.
  return normals(part.count, DEVIATION * share, (seed + Math.imul(part.first + 1, 0x9e3779b1)) | 0)
}
