/**
 * The two limits of a machine that a transformer runs into, measured with the threads and instructions
 * of the backend in question: how fast memory is read (decode), and how many pairs of int8 numbers are
 * multiplied and added (prefill). Both are operations of the backends in C; the reference has none.
 */
import type { Backend } from '../backends/backend.ts'
import { PEAK_PRODUCTS } from '../kernels/peak-dot/op.ts'
import { READ_PIECE, VECTOR_BYTES } from '../kernels/read-bytes/op.ts'
import { fillBuffer } from './fill-buffer.ts'
import { type PassOptions, timeProgram } from './pass-timing.ts'

export interface MachineLimits {
  /** Bytes read per second, by all threads, from memory that no cache holds. */
  readonly readBytesPerSecond: number
  /**
   * Multiply-accumulates of int8 per second by all threads with the variant's own instruction for them
   * and operands in registers: what a product could reach if unpacking and memory cost nothing.
   */
  readonly macsPerSecond: number
}

export interface LimitOptions {
  /** Bytes read in a pass, well above the caches' size; unset: 256 MiB. */
  readonly readBytes?: number
  /** Milliseconds for each of the two; unset: 400. */
  readonly budgetMs?: number
  readonly now?: () => number
}

/** 0.5 ms of the quickest (AMX), long beside starting a list; 50 ms of the slowest. */
const PEAK_TASKS_PER_THREAD = 1024

const READ_BYTES = 256 << 20
const BUDGET_MS = 400

/**
 * Measures both; frees what it allocates. The fastest pass counts: whatever else ran on the machine can
 * only have made the others slower.
 *
 * @returns undefined on a backend without these operations
 */
export async function measureLimits(
  backend: Backend,
  options: LimitOptions = {},
): Promise<MachineLimits | undefined> {
  const { readBytes = READ_BYTES, budgetMs = BUDGET_MS, now = () => performance.now() } = options
  if (backend.name === 'reference') return undefined
  return {
    readBytesPerSecond: await measureReads(backend, readBytes, { budgetMs, now }),
    macsPerSecond: await measurePeak(backend, { budgetMs, now }),
  }
}

async function measureReads(
  backend: Backend,
  bytes: number,
  options: PassOptions,
): Promise<number> {
  const pieces = Math.max(1, Math.floor(bytes / READ_PIECE))
  const memory = backend.allocate(pieces * READ_PIECE, 'bandwidth', 'weights')
  const sinks = backend.allocate(pieces * VECTOR_BYTES, 'bandwidth sinks')
  try {
    fillBuffer(backend, memory, 1)
    const program = await backend.record([{ op: 'read-bytes', rows: pieces, from: memory, sinks }])
    try {
      const seconds = Math.min(...(await timeProgram(backend, program, options)))
      return (pieces * READ_PIECE) / seconds
    } finally {
      program.dispose()
    }
  } finally {
    backend.free(memory)
    backend.free(sinks)
  }
}

async function measurePeak(backend: Backend, options: PassOptions): Promise<number> {
  const tasks = PEAK_TASKS_PER_THREAD * backend.threads
  const sums = backend.allocate(tasks * VECTOR_BYTES, 'peak sums')
  const operands = backend.allocate(VECTOR_BYTES, 'peak operands')
  try {
    fillBuffer(backend, operands, 1)
    const program = await backend.record([{ op: 'peak-dot', rows: tasks, operands, sums }])
    try {
      const seconds = Math.min(...(await timeProgram(backend, program, options)))
      return (tasks * PEAK_PRODUCTS) / seconds
    } finally {
      program.dispose()
    }
  } finally {
    backend.free(sums)
    backend.free(operands)
  }
}
