/**
 * Progress of a download as people want to see it: how much, how fast, how long yet.
 */
import type { FileEvents } from './download-file.ts'

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

/** Counts the bytes of several files that come one after the other. */
export class TransferMeter {
  readonly #totalBytes: number
  readonly #onProgress: ((progress: DownloadProgress) => void) | undefined
  #done = 0
  #fetched = 0
  /** Bytes fetched by a time, oldest first. */
  readonly #samples = [{ at: performance.now(), fetched: 0 }]

  constructor(totalBytes: number, onProgress?: (progress: DownloadProgress) => void) {
    this.#totalBytes = totalBytes
    this.#onProgress = onProgress
  }

  get fetchedBytes(): number {
    return this.#fetched
  }

  /** Counts one file's bytes into the progress of all. */
  events(file: string): FileEvents {
    let state: DownloadProgress['state'] = 'downloading'
    const report = (): void => this.#onProgress?.({ state, file, ...this.#progress() })
    return {
      onBytes: (count, kept) => {
        this.#add(count, kept)
        report()
      },
      onState: (next) => {
        state = next
        report()
      },
    }
  }

  #add(count: number, kept: boolean): void {
    this.#done += count
    if (kept) return
    this.#fetched += count
    const at = performance.now()
    const last = this.#samples.at(-1)
    if (last !== undefined && at - last.at < SAMPLE_MS) return
    this.#samples.push({ at, fetched: this.#fetched })
    while (this.#samples.length > 2 && at - this.#samples[1].at > WINDOW_MS) this.#samples.shift()
  }

  #progress() {
    const [oldest] = this.#samples
    const seconds = (performance.now() - oldest.at) / 1000
    const bytesPerSecond = seconds > 0 ? (this.#fetched - oldest.fetched) / seconds : 0
    const left = Math.max(0, this.#totalBytes - this.#done)
    return {
      doneBytes: this.#done,
      totalBytes: this.#totalBytes,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? left / bytesPerSecond : undefined,
    }
  }
}
