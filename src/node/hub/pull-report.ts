/**
 * What a pull is told, and what it tells: on the way, and at the end.
 */
import type { FileEvents } from '../../hub/download/download-file.ts'
import type { DownloadProgress, TransferMeter } from '../../hub/download/transfer-meter.ts'
import type { DiskTuning } from './disk-store.ts'

export interface PullOptions {
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined
  /** Told once it is clear what will be fetched, and why. */
  readonly onChosen?: ((choice: PullChoice) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** For tests: waits, piece sizes, free space. */
  readonly tuning?: DiskTuning | undefined
}

export interface PullChoice {
  readonly model: string
  readonly reason: string
  readonly files: number
  readonly totalBytes: number
}

export interface PulledFile {
  readonly path: string
  readonly bytes: number
  /** False if it was in the cache already. */
  readonly fetched: boolean
}

export interface PulledModel {
  readonly model: string
  /** What to open. */
  readonly path: string
  /** The commit; undefined for an address. */
  readonly revision: string | undefined
  readonly reason: string
  readonly files: readonly PulledFile[]
  readonly totalBytes: number
  /** Over the network, this time. */
  readonly fetchedBytes: number
}

/** Counts one file's bytes into the progress of all. */
export function fileEvents(file: string, meter: TransferMeter, options: PullOptions): FileEvents {
  let state: DownloadProgress['state'] = 'downloading'
  const report = (): void => options.onDownload?.(meter.report(state, file))
  return {
    onBytes: (count, kept) => {
      meter.add(count, kept)
      report()
    },
    onState: (next) => {
      state = next
      report()
    },
  }
}
