/**
 * What rounding did to numbers: the root mean square and the largest of the changes.
 */
export class LossMeter {
  #count = 0
  #power = 0
  #error = 0
  /** The largest change of one value. */
  largestError = 0

  /** A value before and after; `times` it occurred. */
  add(before: number, after: number, times = 1): void {
    const difference = Math.abs(after - before)
    this.#count += times
    this.#power += times * before * before
    this.#error += times * difference * difference
    if (difference > this.largestError) this.largestError = difference
  }

  addAll(before: Float32Array, after: Float32Array): void {
    let power = 0
    let error = 0
    let largest = 0
    for (let i = 0; i < before.length; i++) {
      const value = before[i]
      const difference = after[i] - value
      const square = difference * difference
      power += value * value
      error += square
      if (square > largest) largest = square
    }
    this.#count += before.length
    this.#power += power
    this.#error += error
    this.largestError = Math.max(this.largestError, Math.sqrt(largest))
  }

  /** Root mean square of the change relative to that of the values; 0 if nothing was lost. */
  get relativeError(): number {
    return this.#error === 0 ? 0 : Math.sqrt(this.#error / this.#power)
  }

  /** Root mean square of the change. */
  get rmsError(): number {
    return this.#count === 0 ? 0 : Math.sqrt(this.#error / this.#count)
  }
}
