/**
 * Progress of a download as people want to see it: how much, how fast, how long yet.
 */
import type { DownloadProgress } from '../../generate/load/load-options.ts'
import type { FileEvents } from './download-file.ts'

/** Long enough to be steady, short enough to follow a line that got slower. */
const WINDOW_MS = 5_000
const SAMPLE_MS = 250

/** Counts the bytes of several files that come one after the other. */
export function transferMeter(
  totalBytes: number,
  onProgress?: (progress: DownloadProgress) => void,
) {
  let [doneBytes, fetchedBytes] = [0, 0]
  /** Bytes fetched by a time, oldest first. */
  const samples = [{ at: performance.now(), fetched: 0 }]
  const add = (count: number, kept: boolean): void => {
    doneBytes += count
    if (kept) return
    fetchedBytes += count
    const at = performance.now()
    if (at - samples[samples.length - 1].at < SAMPLE_MS) return
    samples.push({ at, fetched: fetchedBytes })
    while (samples.length > 2 && at - samples[1].at > WINDOW_MS) samples.shift()
  }
  const progress = () => {
    const seconds = (performance.now() - samples[0].at) / 1000
    const bytesPerSecond = seconds > 0 ? (fetchedBytes - samples[0].fetched) / seconds : 0
    const left = Math.max(0, totalBytes - doneBytes)
    const secondsLeft = bytesPerSecond > 0 ? left / bytesPerSecond : undefined
    return { doneBytes, totalBytes, bytesPerSecond, secondsLeft }
  }
  return {
    fetchedBytes: (): number => fetchedBytes,
    /** Counts one file's bytes into the progress of all. */
    events(file: string): FileEvents {
      let state: DownloadProgress['state'] = 'downloading'
      const report = (): void => onProgress?.({ state, file, ...progress() })
      return {
        onBytes: (count, kept) => {
          add(count, kept)
          report()
        },
        onState: (next) => {
          state = next
          report()
        },
      }
    },
  }
}
