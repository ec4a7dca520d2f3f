/** Cases of quantize-weights: padding, ties at exactly half, weights of zero, both quantisers. */
import { packedByteLength, padToTile } from '../../ternary/index.ts'
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'
import { WEIGHT_MODES, type WeightMode } from './reference.ts'

function weightsCase(
  mode: WeightMode,
  name: string,
  rows: number,
  cols: number,
  latents: (seeded: Seeded) => Float32Array,
): KernelCase {
  return {
    name: `${mode} of ${name}, ${rows} x ${cols}`,
    create: () => ({
      contents: {
        latents: latents(new Seeded(rows + 5 * cols)),
        data: new Uint8Array(packedByteLength(rows, cols)).fill(0xaa),
        scales: stale(padToTile(rows)),
      },
      command: ({ latents, data, scales }) => ({
        op: 'quantize-weights',
        rows,
        mode,
        latents,
        out: { rows, cols, data, scales },
      }),
    }),
  }
}

/** Mean magnitude 1, so that halves are ties. */
const ties = Float32Array.of(0.5, -0.5, 1.5, -1.5, 0.50000006, -0.50000006, 1.5, -1.5, 1, -1, 1, -1)
/** Mean 0.25: its own value is an exact zero. */
const centred = Float32Array.of(0.25, 0.5, 0, 0.25, 0.25, 0.25, 1, -0.5)

export const cases: readonly KernelCase[] = WEIGHT_MODES.flatMap((mode) => [
  ...[
    [1, 1],
    [3, 15],
    [16, 16],
    [17, 33],
    [48, 130],
    [200, 64],
  ].map(([rows, cols]) =>
    weightsCase(mode, 'random weights', rows, cols, (s) => s.floats(rows * cols, 0.1)),
  ),
  weightsCase(mode, 'ties', 2, 6, () => ties),
  weightsCase(mode, 'weights at their mean', 2, 4, () => centred),
  weightsCase(mode, 'zeros', 2, 20, () => new Float32Array(40)),
  weightsCase(mode, 'tiny weights', 2, 20, (s) => s.floats(40, 1e-7)),
])
