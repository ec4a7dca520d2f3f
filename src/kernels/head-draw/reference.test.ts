/**
 * Draws that leave logits out, beside the reference, over thousands of rows: random models whose logits lie apart,
 * close together or nowhere near what int8 tells apart, and all that callers may ask.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { testBackends } from '../../../test/support/backends.ts'
import { runCase } from '../../../test/support/conformance.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { Seeded } from '../testing/conformance-cases.ts'
import { headDrawCase } from './cases.ts'

const native = testBackends().find(({ title, open }) => open && title.includes('avx512vnni'))
const backend = await native?.open?.()
const reference = createReferenceBackend()

afterAll(() => {
  backend?.dispose()
  reference.dispose()
})

/** A case whose sizes, weights and draws follow from its number. */
function randomCase(seed: number) {
  const random = new Seeded(seed * 7919 + 1)
  const one = <T>(...choices: readonly T[]) => choices[random.below(choices.length)]
  const rows = 200 + random.below(1300)
  const cols = 8 + random.below(120)
  const groups = one(rows, rows, 3, 40)
  const apart = one(1, 1, 2 ** -6, 2 ** -10)
  const isPeaked = one(false, true)
  return headDrawCase({
    what: `seed ${seed}`,
    ...{ rows, cols, weight: one(0.02, 0.1, 1), x: one(0.5, 4, 30) },
    draws: Array.from({ length: 64 }, () => ({
      temperature: one(0.1, 0.7, 1, 3),
      topK: one(0, 0, 1, 2, 40, 40, 256),
      topP: one(1, 1, 0.9, 0.3),
      widest: one(87, 87, 4, 0.5),
    })),
    shape(weights, x, own) {
      // Rows of groups differ by little; a few are like an input.
      for (let row = groups; row < rows; row++) {
        for (let c = 0; c < cols; c++) {
          const like = weights[(row % groups) * cols + c]
          weights[row * cols + c] = like + apart * own.floats(1, 0.001)[0]
        }
      }
      if (!isPeaked) return
      for (let row = 0; row < rows; row += 29) {
        const from = (row % 64) * cols
        for (let c = 0; c < cols; c++) weights[row * cols + c] += 0.03 * x[from + c]
      }
    },
    biasCount: one(undefined, undefined, 7),
    ...(one(true, false) && {
      penalties: [
        [1.05, 0, 0, 0],
        [1.3, 0.2, 0.1, 100],
      ],
    }),
    allowed: one(undefined, undefined, 0.5, 0.01),
  })
}

describe.skipIf(backend === undefined)("tokens are the reference's", () => {
  test.each(Array.from({ length: 60 }, (_, seed) => randomCase(seed)))('$name', async (own) => {
    if (backend === undefined) return
    const data = own.create()
    const [got, expected] = [await runCase(backend, data), await runCase(reference, own.create())]
    const tokens = (results: ReadonlyMap<string, Uint8Array>) => {
      const bytes = results.get('tokens')?.slice(0, 64 * 4) ?? new Uint8Array(0)
      return [...new Int32Array(bytes.buffer)]
    }
    expect(tokens(got)).toEqual(tokens(expected))
  })
})
