/** Small vocabularies of byte pair encoding, for tests. */

/** Merges learned from words, the most frequent pair first, and the pieces that they need. */
export function learnMerges(
  words: readonly string[],
  rounds: number,
  options: { prefix?: string; suffix?: string } = {},
) {
  const { prefix = '', suffix = '' } = options
  const split = words.map((word) => {
    const characters = [...word]
    return characters.map((character, i) => {
      return (i > 0 ? prefix : '') + character + (i === characters.length - 1 ? suffix : '')
    })
  })
  // Some characters stay unknown.
  const pieces = new Set(split.flat().filter((_, i) => i % 3 !== 0))
  for (const symbols of split)
    symbols.splice(0, symbols.length, ...symbols.filter((s) => pieces.has(s)))
  const merges: [string, string][] = []
  for (let round = 0; round < rounds; round++) {
    const counts = new Map<string, number>()
    for (const symbols of split) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = JSON.stringify([symbols[i], symbols[i + 1]])
        counts.set(pair, (counts.get(pair) ?? 0) + 1)
      }
    }
    const [best] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? []
    if (best === undefined) break
    const [left, right]: [string, string] = JSON.parse(best)
    const joined = left + right.slice(prefix.length)
    merges.push([left, right])
    pieces.add(joined)
    for (const symbols of split) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, joined)
      }
    }
  }
  return { pieces: [...pieces], merges }
}
