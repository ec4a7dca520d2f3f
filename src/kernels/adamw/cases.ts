/** Cases of adamw: widths around a vector, with and without clipping. */
import { type KernelCase, Seeded } from '../testing/conformance-cases.ts'

function stepCase(
  name: string,
  rows: number,
  cols: number,
  squareSum: number,
  scale = 1,
): KernelCase {
  return {
    name: `${rows} x ${cols}, ${name}`,
    create() {
      const seeded = new Seeded(rows + cols)
      return {
        contents: {
          parameters: seeded.floats(rows * cols),
          gradients: seeded.floats(rows * cols, 0.1),
          means: seeded.floats(rows * cols, 0.01),
          squares: seeded.positive(rows * cols, 0.001),
          numbers: Float32Array.of(2e-3, 0.9999, 0.9, 0.1, 0.95, 0.05, 1.3, 1e-8, 1, scale),
          squareSum: Float32Array.of(squareSum),
        },
        command: ({ parameters, gradients, means, squares, numbers, squareSum }) => ({
          op: 'adamw',
          rows,
          cols,
          parameters,
          gradients,
          means,
          squares,
          numbers,
          squareSum,
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 15, 16, 17, 100].flatMap((cols) => [
    stepCase('clipped', 1, cols, 9),
    stepCase('not clipped', 3, cols, 0.5),
    stepCase('of a scaled loss', 2, cols, 9, 0.3),
  ]),
]
