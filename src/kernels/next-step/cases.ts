/** Cases of next-step: entries in any order, the last position, tokens that are none. */
import { type KernelCase, Seeded, stepWords } from '../testing/conformance-cases.ts'

interface Shape {
  /** Rows of the pass, and those of them that tokens were drawn for. */
  readonly entries: number
  readonly index: readonly number[]
}

const TOKENS = 1000
const POSITIONS = 64

function nextStepCase({ entries, index }: Shape): KernelCase {
  return {
    name: `${index.length} of ${entries} rows`,
    create() {
      const random = new Seeded(entries)
      const step = stepWords(
        Array.from({ length: entries }, (_, slot) => ({
          token: random.below(TOKENS),
          slot,
          position: slot % 3 === 0 ? POSITIONS - 1 : random.below(POSITIONS - 1),
        })),
      )
      const tokens = Int32Array.from(index, (_, i) => (i % 5 === 4 ? -1 : random.below(TOKENS)))
      return {
        contents: { step, index: Int32Array.from(index), tokens },
        command: (buffers) => ({
          op: 'next-step',
          rows: index.length,
          tokenLimit: TOKENS,
          positionLimit: POSITIONS,
          step: buffers['step'],
          index: buffers['index'],
          tokens: buffers['tokens'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  nextStepCase({ entries: 1, index: [0] }),
  nextStepCase({ entries: 9, index: [8, 0, 3] }),
  nextStepCase({ entries: 130, index: Array.from({ length: 130 }, (_, i) => (i * 7) % 130) }),
]
