/** Weights before the first step: normal numbers, those of projections onto the residual stream smaller. */
import { normals } from './counted-random.ts'
import type { PlannedPart, TrainingPlan } from './plan.ts'
import type { Trainer } from './trainer.ts'

/** As in GPT-2 and its kin (Radford et al. 2019). */
const DEVIATION = 0.02

function initialWeights(plan: TrainingPlan, part: PlannedPart, seed: number): Float32Array {
  // Adapters as in PEFT: they change nothing at first.
  if (part.factor === 'B') return new Float32Array(part.count)
  if (part.factor === 'A')
    return normals(part.count, 1 / Math.sqrt(3 * part.cols), seedOf(part, seed))
  if (part.kind === 'norm') return new Float32Array(part.count).fill(1)
  const isResidual = part.role === 'output' || part.role === 'down'
  const share = isResidual ? 1 / Math.sqrt(2 * plan.shape.model.nLayers) : 1
  return normals(part.count, DEVIATION * share, seedOf(part, seed))
}

/** Each part has a stream of its own, by its place in the arenas. */
function seedOf({ first }: PlannedPart, seed: number): number {
  return (seed + Math.imul(first + 1, 0x9e3779b1)) | 0
}

/** All that is learnt. */
export function fillRandomly(trainer: Trainer, seed: number): void {
  for (const part of trainer.plan.parts) {
    trainer.write('weights', part, initialWeights(trainer.plan, part, seed))
  }
}
