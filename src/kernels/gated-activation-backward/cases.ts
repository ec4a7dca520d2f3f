/** Cases of gated-activation-backward: all activations, odd widths, zeros, saturation. */
import { ACTIVATIONS, type Activation } from '../gated-activation/reference.ts'
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function backwardCase(
  activation: Activation,
  rows: number,
  cols: number,
  magnitude = 6,
): KernelCase {
  return {
    name: `${activation} ${rows} x ${cols} of magnitude ${magnitude}`,
    create() {
      const seeded = new Seeded(rows * 13 + cols)
      const gateUp = seeded.floats(rows * 2 * cols, magnitude)
      gateUp[0] = 0
      return {
        contents: { gateUp, dOut: seeded.floats(rows * cols), dGateUp: stale(rows * 2 * cols) },
        command: ({ gateUp, dOut, dGateUp }) => ({
          op: 'gated-activation-backward',
          rows,
          cols,
          activation,
          gateUp,
          dOut,
          dGateUp,
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = ACTIVATIONS.flatMap((activation) => [
  ...[1, 15, 16, 17, 33, 2049].map((cols) => backwardCase(activation, 1, cols)),
  backwardCase(activation, 3, 47),
  backwardCase(activation, 2, 100, 500),
])
