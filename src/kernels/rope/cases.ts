/** Cases of rope: heads of odd halves, several sequences, both directions. */
import { type KernelCase, rotationTable, Seeded } from '../testing/conformance-cases.ts'

function ropeCase(
  sequences: number,
  length: number,
  heads: readonly [nHeads: number, nKvHeads: number, headDim: number],
  inverse: boolean,
): KernelCase {
  const [nHeads, nKvHeads, headDim] = heads
  const rows = sequences * length
  return {
    name: `${sequences} x ${length} tokens, ${heads.join(' x ')}${inverse ? ', back' : ''}`,
    create: () => ({
      contents: {
        qkv: new Seeded(rows).floats(rows * (nHeads + 2 * nKvHeads) * headDim),
        rotations: rotationTable(length, headDim, 10_000),
      },
      command: ({ qkv, rotations }) => ({
        op: 'rope',
        rows,
        length,
        nHeads,
        nKvHeads,
        headDim,
        qkv,
        rotations,
        inverse,
      }),
    }),
  }
}

export const cases: readonly KernelCase[] = [false, true].flatMap((inverse) => [
  ropeCase(1, 2, [1, 1, 2], inverse),
  ropeCase(2, 5, [4, 2, 18], inverse),
  ropeCase(1, 17, [2, 1, 64], inverse),
])
