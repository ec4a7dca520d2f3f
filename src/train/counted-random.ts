/**
 * Random numbers by their place: the n-th number of a seed, without those before it. A run that goes on from a
 * checkpoint draws what an unbroken one draws, and nothing of a generator is kept.
 */

/** A bijection of 32-bit words without pattern (the finaliser of MurmurHash 3, Appleby). */
function mix(word: number): number {
  let x = word
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** A 32-bit word for a place in the stream of a seed. */
function wordAt(seed: number, place: number): number {
  const [low, high] = [place >>> 0, Math.floor(place / 2 ** 32)]
  return mix(mix(mix(seed ^ 0x9e3779b9) ^ low) ^ (high + 0x7f4a7c15))
}

/** Uniform in [0, 1). */
export function uniformAt(seed: number, place: number): number {
  return wordAt(seed, place) / 2 ** 32
}

/** Normal numbers of mean 0 (Box and Muller 1958). */
export function normals(count: number, deviation: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(seed, 2 * i)))
    return deviation * radius * Math.cos(2 * Math.PI * uniformAt(seed, 2 * i + 1))
  })
}

/** Rounds of a Feistel network; four are enough for an order without pattern. */
const ROUNDS = 4

/**
 * Where `place` comes to lie in a random order of [0, count): every place once. Nothing is kept, however many
 * there are.
 */
export function shuffledAt(seed: number, place: number, count: number): number {
  // The network permutes [0, side^2); what falls outside goes round again.
  const side = Math.ceil(Math.sqrt(count))
  let at = place
  do {
    let [left, right] = [Math.floor(at / side), at % side]
    for (let round = 0; round < ROUNDS; round++) {
      const next = (left + wordAt(seed + round, right)) % side
      left = right
      right = next
    }
    at = left * side + right
  } while (at >= count)
  return at
}
