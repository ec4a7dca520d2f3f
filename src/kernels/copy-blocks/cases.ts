/** Cases of copy-blocks: every type of cache, one block and several, copies of one block in two places. */
import { keyCacheByteLength, valueCacheByteLength } from '../attention/layout.ts'
import { CACHE_TYPES, type CacheType } from '../storage.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../testing/conformance-cases.ts'

function copyCase(
  type: CacheType,
  heads: { nKvHeads: number; headDim: number },
  blocks: number,
  pairs: readonly (readonly [from: number, to: number])[],
): KernelCase {
  const { nKvHeads, headDim } = heads
  const shape = { type, blocks, nKvHeads, headDim }
  return {
    name: `${pairs.length} of ${blocks} blocks, ${type}, ${nKvHeads} heads of ${headDim}`,
    create() {
      const seeded = new Seeded(blocks + headDim)
      const words = (bytes: number) => Int32Array.from({ length: bytes / 4 }, () => seeded.word())
      return {
        contents: {
          keys: words(keyCacheByteLength(shape)),
          values: words(valueCacheByteLength(shape)),
          pairs: Int32Array.from(pairs.flat()),
        },
        command: ({ keys, values, pairs: own }) => ({
          op: 'copy-blocks',
          rows: pairs.length,
          pairs: own,
          cache: { ...shape, keys, values },
        }),
      }
    },
  }
}

const { nKvHeads, headDim } = bitnet2b4t

export const cases: readonly KernelCase[] = CACHE_TYPES.flatMap((type) => [
  copyCase(type, { nKvHeads: 1, headDim: 2 }, 2, [[0, 1]]),
  copyCase(type, { nKvHeads: 3, headDim: 34 }, 6, [
    [5, 0],
    [2, 4],
    [5, 3],
  ]),
  copyCase(type, { nKvHeads, headDim }, 3, [[2, 0]]),
])
