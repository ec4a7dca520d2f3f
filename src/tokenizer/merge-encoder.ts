/**
 * Byte pair encoding for vocabularies that rank their pieces instead of listing merges: tiktoken
 * (a piece's rank) and SentencePiece BPE (a piece's score). Neighbours are joined as long as the join
 * is a piece; the best-ranked join goes first, of equals the leftmost (Sennrich et al. 2016,
 * section 3.2, with a heap: O(n log n) in the length of the text).
 */
import { MANY, type Steps } from '../steps.ts'

/** A join that was possible when it was found; stale once either side has changed. */
interface Join {
  readonly rank: number
  readonly left: number
  readonly length: number
}

interface Symbols {
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  readonly next: readonly number[]
}

/**
 * A function that joins the characters of a word to pieces, by rank. It appends the ids of `text` to
 * `out`; `onUnknown` takes characters that are not pieces.
 *
 * @param ids pieces that text may turn into; control tokens must not be among them
 * @param rankOf lower ranks are joined first
 */
export function mergeEncoder(ids: ReadonlyMap<string, number>, rankOf: (id: number) => number) {
  /** Symbols as linked list over the text; a symbol that was joined to its left has end = start. */
  function* mergeAll(text: string): Steps<Symbols> {
    const starts: number[] = []
    for (let at = 0; at < text.length; at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1) {
      starts.push(at)
      if (starts.length % MANY === 0) yield
    }
    const count = starts.length
    const ends = starts.map((_, i) => starts[i + 1] ?? text.length)
    const next = starts.map((_, i) => (i + 1 < count ? i + 1 : -1))
    const previous = starts.map((_, i) => i - 1)
    const heap: Join[] = []
    const offer = (left: number) => {
      const right = left < 0 ? -1 : next[left]
      if (right < 0) return
      const id = ids.get(text.slice(starts[left], ends[right]))
      if (id === undefined) return
      pushJoin(heap, { rank: rankOf(id), left, length: ends[right] - starts[left] })
    }
    for (let i = 0; i < count - 1; i++) {
      offer(i)
      if (i % MANY === MANY - 1) yield
    }
    let turn = 0
    for (let join = popJoin(heap); join !== undefined; join = popJoin(heap)) {
      if (++turn % MANY === 0) yield
      const { left, length } = join
      const right = next[left]
      const isLive = ends[left] > starts[left] && right >= 0
      if (!isLive || ends[right] - starts[left] !== length) continue
      ends[left] = ends[right]
      ends[right] = starts[right]
      next[left] = next[right]
      if (next[right] >= 0) previous[next[right]] = left
      offer(previous[left])
      offer(left)
    }
    return { starts, ends, next }
  }
  return function* (
    text: string,
    out: number[],
    onUnknown: (character: string) => void,
  ): Steps<void> {
    const { starts, ends, next } = yield* mergeAll(text)
    let turn = 0
    for (let symbol = 0; symbol >= 0 && symbol < starts.length; symbol = next[symbol]) {
      if (++turn % MANY === 0) yield
      const piece = text.slice(starts[symbol], ends[symbol])
      const id = ids.get(piece)
      if (id === undefined) onUnknown(piece)
      else out.push(id)
    }
  }
}

const isBefore = (a: Join, b: Join) => a.rank < b.rank || (a.rank === b.rank && a.left < b.left)

function pushJoin(heap: Join[], join: Join): void {
  let at = heap.length
  heap.push(join)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(join, heap[parent])) break
    heap[at] = heap[parent]
    at = parent
  }
  heap[at] = join
}

function popJoin(heap: Join[]): Join | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return top
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
    if (!isBefore(heap[child], last)) break
    heap[at] = heap[child]
    at = child
  }
  heap[at] = last
  return top
}
