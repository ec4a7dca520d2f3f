/**
 * What a program is given: numbers in the order of `defaults`, which stand for those left out.
 *
 * @param names of them, for whoever gives something else
 */
export function givenNumbers(names, defaults) {
  const given = process.argv.slice(2)
  const numbers = defaults.map((own, i) => (given[i] === undefined ? own : Number(given[i])))
  if (given.length <= names.length && numbers.every((number) => number > 0)) return numbers
  console.error(`Expected ${names.join(' and ')} as numbers above 0, got: ${given.join(' ')}`)
  process.exit(2)
}

/** Draws that a seed repeats (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count) => Math.floor(next() * count)
  return { below, pick: (values) => values[below(values.length)] }
}
