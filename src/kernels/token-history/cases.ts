/** Cases of token-history: one row, a prompt beside other sequences, a whole pass. */
import { type KernelCase, Seeded, stepWords } from '../testing/conformance-cases.ts'

interface Shape {
  readonly slots: number
  readonly capacity: number
  /** Rows of each sequence, from a first position on. */
  readonly spans: readonly (readonly [slot: number, first: number, count: number])[]
}

const TOKENS = 128_256

function historyCase({ slots, capacity, spans }: Shape): KernelCase {
  const rows = spans.reduce((sum, [, , count]) => sum + count, 0)
  return {
    name: `${rows} rows of ${slots} x ${capacity}`,
    create() {
      const random = new Seeded(rows)
      const entries = spans.flatMap(([slot, first, count]) =>
        Array.from({ length: count }, (_, i) => ({
          token: 1 + random.below(TOKENS - 1),
          slot,
          position: first + i,
        })),
      )
      return {
        contents: { step: stepWords(entries), history: new Int32Array(slots * capacity) },
        command: (buffers) => ({
          op: 'token-history',
          rows,
          tokenLimit: TOKENS,
          capacity,
          step: buffers['step'],
          history: buffers['history'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  historyCase({ slots: 1, capacity: 1, spans: [[0, 0, 1]] }),
  historyCase({
    slots: 3,
    capacity: 40,
    spans: [
      [2, 39, 1],
      [0, 0, 17],
      [1, 5, 1],
    ],
  }),
  historyCase({ slots: 2, capacity: 256, spans: [[1, 128, 128]] }),
]
