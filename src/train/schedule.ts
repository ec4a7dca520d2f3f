/**
 * The published recipe (Training Tips, Code and FAQ, 2024, figures 1c and 1d): two straight lines, each a
 * schedule of its own from a peak down to the same end over all steps. At half time the rate jumps from the
 * first to the second, and weight decay goes from its value to 0. Before it the rate climbs to the first line
 * in as many steps as the warm-up has.
 */
export interface Schedule {
  readonly steps: number
  readonly warmup: number
  /** Peaks of the two lines. */
  readonly peaks: readonly [first: number, second: number]
  /** What both lines end at, as a share of the first peak. */
  readonly endShare: number
  /** Up to half time. */
  readonly decay: number
}

/** The end of the published curves: 3e-5 of 1.5e-3. */
export const END_SHARE = 0.02
/** Steps of the published warm-up; of short runs a tenth. */
const WARMUP = 375

export function warmupOf(steps: number): number {
  return Math.max(1, Math.min(WARMUP, Math.round(steps / 10)))
}

/** Whether a step, counted from 0, is in the second half. */
export function isLate({ steps }: Schedule, step: number): boolean {
  return 2 * step >= steps
}

/** The learning rate of a step, counted from 0. */
export function learningRate(schedule: Schedule, step: number): number {
  const { steps, warmup, peaks, endShare } = schedule
  const peak = peaks[isLate(schedule, step) ? 1 : 0]
  const end = peaks[0] * endShare
  if (step < warmup) return (peak * (step + 1)) / warmup
  const done = (step - warmup) / Math.max(1, steps - warmup)
  return peak + (end - peak) * Math.min(1, done)
}

/** The weight decay of a step. */
export function weightDecay(schedule: Schedule, step: number): number {
  return isLate(schedule, step) ? 0 : schedule.decay
}
