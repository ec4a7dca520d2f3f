/**
 * How fast the weights of a loaded model are read when nothing is computed from them. Memory of a shared
 * host changes its speed by half within seconds, so a run of decoding is compared with reads of the same
 * bytes just before and after it, not with one measurement at the end.
 */
import type { Backend } from '../backends/backend.ts'
import { READ_PIECE, VECTOR_BYTES } from '../kernels/read-bytes/op.ts'
import type { DecoderWeights } from '../model/forward.ts'
import { stacksOf } from '../model/layers.ts'

/** Fewer bytes may stay in the processor's caches, whose speed is not the memory's. */
const LEAST_BYTES = 128 << 20
/** The quicker one counts: what else ran can only have made the other slower. */
const PASSES = 2

export interface WeightReader extends Disposable {
  /** Bytes per second, by all threads of the backend. */
  readonly measure: () => Promise<number>
}

export interface ReaderOptions {
  /** Unset: 128 MiB. */
  readonly leastBytes?: number
  /** Milliseconds since some moment. */
  readonly now?: () => number
}

/**
 * @returns undefined for a model whose projections have less than `leastBytes`, or on the reference
 *   backend
 */
export async function openWeightReader(
  backend: Backend,
  weights: Pick<DecoderWeights, 'layers'>,
  { leastBytes = LEAST_BYTES, now = () => performance.now() }: ReaderOptions = {},
): Promise<WeightReader | undefined> {
  if (backend.name === 'reference') return undefined
  const parts = weights.layers
    .flatMap(stacksOf)
    .map(({ matrix: { data } }) => ({ data, pieces: Math.floor(data.byteLength / READ_PIECE) }))
    .filter(({ pieces }) => pieces > 0)
  const bytes = parts.reduce((sum, { pieces }) => sum + pieces * READ_PIECE, 0)
  if (bytes < leastBytes) return undefined
  const mostPieces = Math.max(...parts.map(({ pieces }) => pieces))
  const sinks = backend.allocate(mostPieces * VECTOR_BYTES, 'sinks of read weights')
  const program = await backend.record(
    parts.map(({ data, pieces }) => ({ op: 'read-bytes', rows: pieces, from: data, sinks })),
  )
  return {
    measure: async () => {
      let least = Infinity
      for (let pass = 0; pass < PASSES; pass++) {
        const start = now()
        backend.submit(program)
        await backend.done()
        least = Math.min(least, now() - start)
      }
      return (bytes / least) * 1000
    },
    [Symbol.dispose]: () => {
      program.dispose()
      backend.free(sinks)
    },
  }
}
