/** Cases of route: one expert and many, all of them chosen, equal logits, and logits that are no numbers. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

interface Shape {
  readonly rows: number
  readonly experts: number
  readonly top: number
  readonly magnitude?: number
  /** Logits are of so many values only. */
  readonly values?: number
  readonly odd?: readonly number[]
}

function routeCase({ rows, experts, top, magnitude = 4, values, odd = [] }: Shape): KernelCase {
  const what = values ? `, ${values} values` : odd.length > 0 ? `, with ${odd.join(' and ')}` : ''
  return {
    name: `${rows} rows to ${top} of ${experts} experts, up to ${magnitude}${what}`,
    create() {
      const seeded = new Seeded(rows * 100 + experts)
      const logits = values
        ? Float32Array.from({ length: rows * experts }, () => seeded.below(values))
        : seeded.floats(rows * experts, magnitude)
      for (const [i, value] of odd.entries()) {
        for (let at = i; at < logits.length; at += 3 + i) logits[at] = value
      }
      const indices = () => new Int32Array(rows * top)
      return {
        contents: {
          logits,
          weights: stale(rows * top),
          places: indices(),
          sources: indices(),
          chosen: indices(),
        },
        command: (b) => ({
          op: 'route',
          rows,
          experts,
          top,
          logits: b['logits'],
          weights: b['weights'],
          places: b['places'],
          sources: b['sources'],
          chosen: b['chosen'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  routeCase({ rows: 1, experts: 1, top: 1 }),
  routeCase({ rows: 1, experts: 8, top: 2 }),
  routeCase({ rows: 3, experts: 4, top: 4 }),
  routeCase({ rows: 17, experts: 8, top: 2 }),
  routeCase({ rows: 128, experts: 60, top: 4, magnitude: 90 }),
  routeCase({ rows: 5, experts: 128, top: 8 }),
  routeCase({ rows: 700, experts: 16, top: 1 }),
  routeCase({ rows: 33, experts: 300, top: 32 }),
  routeCase({ rows: 20, experts: 8, top: 3, values: 1 }),
  routeCase({ rows: 40, experts: 16, top: 5, values: 3 }),
  routeCase({ rows: 9, experts: 8, top: 2, odd: [-Infinity] }),
]
