/** Cases of route-backward: as `route` leaves its results, with and without a loss of uneven use. */
import { route } from '../route/reference.ts'
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function backwardCase(rows: number, experts: number, top: number, balance: number): KernelCase {
  return {
    name: `${rows} rows to ${top} of ${experts} experts, balance ${balance}`,
    create() {
      const seeded = new Seeded(rows * 100 + experts)
      const count = rows * top
      const indices = () => new Int32Array(count)
      const routes = {
        weights: new Float32Array(count),
        ...{ places: indices(), sources: indices(), chosen: indices() },
      }
      const logits = seeded.floats(rows * experts, 3)
      route(routes, logits, { rows, experts, top })
      const { weights, places, chosen } = routes
      const dWeights = seeded.floats(count)
      const counts = seeded.positive(rows, 0.1)
      return {
        contents: {
          logits,
          weights,
          places,
          chosen,
          dWeights,
          counts,
          dLogits: stale(rows * experts),
        },
        command: (b) => ({
          op: 'route-backward',
          rows,
          experts,
          top,
          balance,
          logits: b['logits'],
          weights: b['weights'],
          places: b['places'],
          chosen: b['chosen'],
          dWeights: b['dWeights'],
          counts: b['counts'],
          dLogits: b['dLogits'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  backwardCase(1, 1, 1, 0),
  backwardCase(1, 8, 2, 0.08),
  backwardCase(17, 8, 2, 0),
  backwardCase(200, 8, 2, 0.08),
  backwardCase(33, 60, 4, 0.6),
  backwardCase(5, 16, 16, 1),
]
