/**
 * Where batches are kept: files, batches and their lines, which outlive the processes that work on them. A line
 * is leased to a worker; if that does not come back in time, another one takes it. Whatever happens, a line has
 * one result.
 */

import { BitnetError } from '../../errors.ts'

/** Batches can be neither read nor written: the disk is full, or their file is gone or damaged. */
export class BatchStoreError extends BitnetError {
  constructor(message: string, options?: ErrorOptions) {
    super('BATCH_STORE', message, options)
  }
}

export interface StoredFile {
  readonly id: string
  readonly filename: string
  readonly purpose: string
  readonly bytes: number
  /** Seconds since 1970, as are all times here. */
  readonly createdAt: number
}

export type BatchStatus =
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled'

/** What is wrong with a line of an input. */
export interface LineFault {
  readonly code: string
  readonly message: string
  /** From 1 on. */
  readonly line: number
}

export interface Batch {
  readonly id: string
  readonly owner: string
  readonly endpoint: string
  readonly inputFile: string
  readonly window: string
  readonly metadata: Readonly<Record<string, string>> | undefined
  readonly status: BatchStatus
  readonly faults: readonly LineFault[]
  readonly createdAt: number
  readonly expiresAt: number
  readonly endedAt: number | undefined
  readonly cancelledAt: number | undefined
  readonly outputFile: string | undefined
  readonly errorFile: string | undefined
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number }
}

export interface NewLine {
  readonly customId: string
  /** The request, as JSON. */
  readonly body: string
}

export interface TakenLine extends NewLine {
  readonly batch: string
  readonly number: number
  readonly endpoint: string
  readonly owner: string
  /** How often it was taken, this time included. */
  readonly tries: number
}

/** A line of the output, or of the file of errors, as JSON. */
export interface LineResult {
  readonly isError: boolean
  readonly text: string
}

/** Answers, and what failed. */
export const RESULT_KINDS = ['output', 'error'] as const
export type ResultKind = (typeof RESULT_KINDS)[number]

/** Everything throws BatchStoreError where nothing can be read or written any more. */
export interface BatchStore {
  /** Throws within some two seconds where nobody would be answered; asked before a request begins anything. */
  ready(): Promise<void>
  addFile(owner: string, file: Omit<StoredFile, 'bytes'>, content: Uint8Array): Promise<StoredFile>
  file(owner: string, id: string): Promise<StoredFile | undefined>
  files(owner: string): Promise<readonly StoredFile[]>
  content(owner: string, id: string): Promise<Uint8Array | undefined>
  /** @returns whether there was one */
  removeFile(owner: string, id: string): Promise<boolean>

  addBatch(batch: Omit<Batch, 'counts'>, lines: readonly NewLine[]): Promise<void>
  batch(owner: string, id: string): Promise<Batch | undefined>
  /** The newest first, those behind `after`. */
  batches(owner: string, limit: number, after?: string): Promise<readonly Batch[]>
  /** Lets no line of it begin any more. */
  cancel(owner: string, id: string): Promise<Batch | undefined>
  /** What there is so far of a batch that goes on, in the order of its lines. */
  results(owner: string, id: string, kind: ResultKind): Promise<Uint8Array | undefined>

  /** Lines to work on, at most so many, which are the worker's for a time. */
  take(worker: string, count: number, leaseSeconds: number): Promise<readonly TakenLine[]>
  /** Keeps what a worker has. */
  renew(worker: string, leaseSeconds: number): Promise<void>
  /** @returns false if the line has a result already, which stays */
  settle(line: TakenLine, result: LineResult): Promise<boolean>
  /** Lets a line be tried again after some seconds. */
  postpone(line: TakenLine, seconds: number): Promise<void>
  /** Writes the files of batches of which nothing is left to do. @returns how many lines wait or are worked on */
  finish(): Promise<number>
  close(): Promise<void>
}
