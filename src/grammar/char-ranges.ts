/** Sets of characters as ranges of code points. */

/** Pairs of first and last code point, in order, without overlap. */
export type Ranges = readonly (readonly [first: number, last: number])[]

const LAST = 0x10ffff
/** Half of a surrogate pair is no character. */
const SURROGATES: Ranges = [[0xd800, 0xdfff]]

/** All code points but surrogates. */
export const ANY: Ranges = [
  [0, 0xd7ff],
  [0xe000, LAST],
]

/** In order, and joined where they meet; without surrogates. */
export function normalized(ranges: Ranges): Ranges {
  return without(joined(ranges), SURROGATES)
}

export function complement(ranges: Ranges): Ranges {
  return without(ANY, joined(ranges))
}

function joined(ranges: Ranges): Ranges {
  const out: [number, number][] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = out.at(-1)
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else out.push([first, last])
  }
  return out
}

/** What is in `ranges` and not in `taken`; both in order. */
function without(ranges: Ranges, taken: Ranges): Ranges {
  let left: Ranges = ranges
  for (const [from, to] of taken) {
    left = left.flatMap(([first, last]) => {
      if (last < from || first > to) return [[first, last] as const]
      const parts: [number, number][] = []
      if (first < from) parts.push([first, from - 1])
      if (last > to) parts.push([to + 1, last])
      return parts
    })
  }
  return left
}

export function has(ranges: Ranges, codePoint: number): boolean {
  return ranges.some(([first, last]) => first <= codePoint && codePoint <= last)
}
