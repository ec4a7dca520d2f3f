/** Cases of embed: every storage type, rows at both ends of a stripe, repeated tokens. */

import { hasRowScales, packDense } from '../dense-matmul/layout.ts'
import type { DenseType } from '../storage.ts'
import {
  bitnet2b4t,
  type KernelCase,
  Seeded,
  stale,
  stepWords,
} from '../testing/conformance-cases.ts'

function embedCase(type: DenseType, vocab: number, cols: number, tokens: number[]): KernelCase {
  return {
    name: `${type} table of ${vocab} x ${cols}, ${tokens.length} tokens`,
    create() {
      const table = packDense(type, new Seeded(7).floats(vocab * cols, 3), vocab, cols)
      return {
        contents: {
          step: stepWords(tokens.map((token) => ({ token }))),
          data: table.data,
          scales: table.scales ?? new Float32Array(0),
          out: stale(tokens.length * cols),
        },
        command: ({ step, data, scales, out }) => ({
          op: 'embed',
          rows: tokens.length,
          step,
          table: { type, rows: vocab, cols, data, scales: hasRowScales(type) ? scales : undefined },
          out,
        }),
      }
    },
  }
}

/** A table that holds every half once, NaNs apart. */
function everyHalf(): KernelCase {
  const rows = 64
  const cols = 1024
  const isNaNHalf = (bits: number) => (bits & 0x7fff) > 0x7c00
  const bits = Uint16Array.from({ length: rows * cols }, (_, i) => (isNaNHalf(i) ? 0 : i))
  return {
    name: 'f16 table of every half',
    create: () => ({
      contents: {
        step: stepWords(Array.from({ length: rows }, (_, token) => ({ token }))),
        data: bits,
        out: stale(rows * cols),
      },
      command: ({ step, data, out }) => ({
        op: 'embed',
        rows,
        step,
        table: { type: 'f16', rows, cols, data, scales: undefined },
        out,
      }),
    }),
  }
}

const types: readonly DenseType[] = ['f32', 'f16', 'int8', 'int4']

const tableCases = types.flatMap((type) => [
  embedCase(type, 1, 1, [0]),
  embedCase(type, 17, 15, [16, 0, 15]),
  embedCase(type, 33, 17, [32, 31, 31]),
  embedCase(type, 64, bitnet2b4t.dim, [63, 1, 17, 16, 15, 0, 63, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
])

export const cases: readonly KernelCase[] = [...tableCases, everyHalf()]
