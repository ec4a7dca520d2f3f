/** Cases of quantize: with and without the norm, ties, saturation, zero and subnormal tokens. */
import { padToTile } from '../../ternary/index.ts'
import {
  bitnet2b4t,
  type KernelCase,
  Seeded,
  stale,
  tokenCounts,
} from '../testing/conformance-cases.ts'

function quantizeCase(
  name: string,
  rows: number,
  cols: number,
  norm: boolean,
  makeX: (seeded: Seeded) => Float32Array,
): KernelCase {
  return {
    name: `${name}, ${rows} x ${cols}${norm ? ' after a norm' : ''}`,
    create() {
      const seeded = new Seeded(rows * 17 + cols)
      return {
        contents: {
          x: makeX(seeded),
          weight: seeded.floats(cols, 2),
          q: new Int8Array(rows * padToTile(cols)).fill(77),
          scales: stale(rows),
          sums: new Int32Array(rows).fill(-1),
        },
        command: ({ x, weight, q, scales, sums }) => ({
          op: 'quantize',
          rows,
          cols,
          eps: bitnet2b4t.normEps,
          x,
          weight: norm ? weight : undefined,
          out: { q, scales, sums },
        }),
      }
    },
  }
}

function randomCase(rows: number, cols: number, norm: boolean, magnitude = 4): KernelCase {
  const name = `random of magnitude ${magnitude}`
  return quantizeCase(name, rows, cols, norm, (seeded) => seeded.floats(rows * cols, magnitude))
}

/** Maximum 127, so the factor is 1 and every k + 0.5 is a tie. */
const ties = Float32Array.from({ length: 255 }, (_, i) => (i === 254 ? -127 : i / 2 - 63.5))

export const cases: readonly KernelCase[] = [
  ...[false, true].flatMap((norm) => [
    ...[1, 15, 16, 17, 33].flatMap((cols) => [
      randomCase(1, cols, norm),
      randomCase(3, cols, norm),
    ]),
    ...tokenCounts.map((rows) => randomCase(rows, bitnet2b4t.dim, norm)),
    randomCase(17, bitnet2b4t.ffnDim, norm, 1000),
    randomCase(2, 47, norm, 1e30 ** 0.5),
    randomCase(2, 47, norm, 1e-7),
    randomCase(2, 47, norm, 1e-40),
  ]),
  quantizeCase('ties', 1, 255, false, () => ties),
  quantizeCase('zeros of both signs', 2, 17, false, () =>
    Float32Array.from({ length: 34 }, (_, i) => (i % 2 === 0 ? 0 : -0)),
  ),
  quantizeCase('all at the maximum', 1, 6912, false, () => new Float32Array(6912).fill(3.3)),
  quantizeCase('all at the minimum', 1, 6912, false, () => new Float32Array(6912).fill(-3.3)),
]
