/**
 * How likely a token is beside the most likely one, as an integer: exp(-gap) in units of 2^-35.
 *
 * Integers make sums exact: up to 2^18 tokens they stay below 2^53, so a sum does not depend on its
 * order, and a search that never sorts the vocabulary agrees with one that does. The price is that a
 * token less likely than 2^-36 of the best (a gap above {@link MAX_GAP}) is never drawn.
 */

/** Weight of the most likely token. */
const UNIT = 2 ** 35

/** exp(-gap) * 2^35 rounds to 0 from here: 36 ln 2. */
export const MAX_GAP = 36 * Math.LN2

/** Buckets that {@link bucketOf} can name. */
export const BUCKETS = Math.floor(MAX_GAP * 64) + 1

/** exp at the buckets' lower edges, times 2^35. */
const EDGES = Float64Array.from({ length: BUCKETS }, (_, i) => UNIT * Math.exp(-i / 64))

/**
 * Gaps in steps of 1/64, `gap` at most MAX_GAP; a wider gap never has a lower bucket. The 64 is
 * written out here and below because V8 divides by a literal faster than by a module's constant.
 */
export function bucketOf(gap: number): number {
  return (gap * 64) | 0
}

/**
 * round(exp(-gap) * 2^35), exact to one unit. A table and five terms of the series in place of
 * Math.exp: the rest of the series is below (1/64)^5 / 120 = 8e-12, a quarter of a unit at most.
 *
 * @param gap distance to the highest logit over the temperature, 0 to MAX_GAP
 * @param bucket {@link bucketOf}(gap)
 */
export function weightOf(gap: number, bucket: number): number {
  const r = gap - bucket / 64
  const series = 1 - r * (1 - r * (1 / 2 - r * (1 / 6 - r / 24)))
  return Math.floor(EDGES[bucket] * series + 0.5)
}
