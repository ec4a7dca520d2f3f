/**
 * Progress of a download as people want to see it: how much, how fast, how long yet.
 */

export interface DownloadProgress {
  readonly state: 'waiting' | 'downloading' | 'verifying'
  /** The file being fetched. */
  readonly file: string
  /** Of all files, what an earlier attempt left included. */
  readonly doneBytes: number
  readonly totalBytes: number
  /** Over the last seconds; 0 until something has come. */
  readonly bytesPerSecond: number
  /** Undefined while the speed is unknown. */
  readonly secondsLeft: number | undefined
}

/** Long enough to be steady, short enough to follow a line that got slower. */
const WINDOW_MS = 5_000
const SAMPLE_MS = 250

export class TransferMeter {
  readonly #totalBytes: number
  readonly #now: () => number
  #done = 0
  #fetched = 0
  /** Bytes fetched by a time, oldest first. */
  readonly #samples: { readonly at: number; readonly fetched: number }[] = []

  constructor(totalBytes: number, now: () => number = () => performance.now()) {
    this.#totalBytes = totalBytes
    this.#now = now
    this.#samples.push({ at: now(), fetched: 0 })
  }

  /** @param kept bytes that were there already: progress, but no speed */
  add(count: number, kept: boolean): void {
    this.#done += count
    if (kept) return
    this.#fetched += count
    const at = this.#now()
    const last = this.#samples.at(-1)
    if (last !== undefined && at - last.at < SAMPLE_MS) return
    this.#samples.push({ at, fetched: this.#fetched })
    while (this.#samples.length > 2 && at - this.#samples[1].at > WINDOW_MS) this.#samples.shift()
  }

  get fetchedBytes(): number {
    return this.#fetched
  }

  report(state: DownloadProgress['state'], file: string): DownloadProgress {
    const [oldest] = this.#samples
    const seconds = (this.#now() - oldest.at) / 1000
    const bytesPerSecond = seconds > 0 ? (this.#fetched - oldest.fetched) / seconds : 0
    const left = Math.max(0, this.#totalBytes - this.#done)
    return {
      state,
      file,
      doneBytes: this.#done,
      totalBytes: this.#totalBytes,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? left / bytesPerSecond : undefined,
    }
  }
}
