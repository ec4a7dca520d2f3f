/** A trainer whose weights a seed says, of a size that lets every layer change the loss. */
import { Seeded } from '../../src/kernels/testing/conformance-cases.ts'
import type { Trainer } from '../../src/train/trainer.ts'

export function filled(trainer: Trainer, seed = 3): Trainer {
  const seeded = new Seeded(seed)
  for (const part of trainer.plan.parts) {
    const values = seeded.floats(part.count, part.kind === 'table' ? 1 : 0.4)
    if (part.kind === 'norm') for (let i = 0; i < values.length; i++) values[i] += 1
    trainer.write('weights', part, values)
  }
  return trainer
}
