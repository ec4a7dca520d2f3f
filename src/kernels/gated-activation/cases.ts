/** Cases of gated-activation: all activations, odd widths, zeros of both signs, saturation. */

import {
  bitnet2b4t,
  type KernelCase,
  Seeded,
  stale,
  tokenCounts,
} from '../testing/conformance-cases.ts'
import type { Activation } from './reference.ts'
import { ACTIVATIONS } from './reference.ts'

function gatedCase(activation: Activation, rows: number, cols: number, magnitude = 6): KernelCase {
  return {
    name: `${activation} ${rows} x ${cols} of magnitude ${magnitude}`,
    create() {
      const gateUp = new Seeded(rows * 13 + cols).floats(rows * 2 * cols, magnitude)
      gateUp[0] = -0
      return {
        contents: { gateUp, out: stale(rows * cols) },
        command: (buffers) => ({
          op: 'gated-activation',
          rows,
          cols,
          activation,
          gateUp: buffers['gateUp'],
          out: buffers['out'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = ACTIVATIONS.flatMap((activation) => [
  ...[1, 15, 16, 17, 33, 2047, 2049].map((cols) => gatedCase(activation, 1, cols)),
  gatedCase(activation, 3, 47),
  ...tokenCounts.map((rows) => gatedCase(activation, rows, bitnet2b4t.ffnDim)),
  gatedCase(activation, 2, 100, 500),
  gatedCase(activation, 2, 100, 1e-20),
  gatedCase(activation, 2, 100, 1e25),
])
