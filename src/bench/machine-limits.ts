/**
 * The two limits of a machine that a transformer runs into, measured with the threads and instructions
 * of the backend in question: how fast memory is read (decode), and how many pairs of int8 numbers are
 * multiplied and added (prefill). Both are operations of the backends in C; the reference has none.
 */
import type { Backend } from '../backends/backend.ts'
import type { Command } from '../kernels/ops.ts'
import { PEAK_PRODUCTS } from '../kernels/peak-dot/op.ts'
import { READ_PIECE, VECTOR_BYTES } from '../kernels/read-bytes/op.ts'
import { type Allocate, timeCommands } from './pass-timing.ts'

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
  /** Bytes that a command reads, well above the caches' size; unset: 256 MiB. */
  readonly readBytes?: number
  /** Milliseconds for each of the two; unset: 400. */
  readonly budgetMs?: number
  readonly now?: () => number
}

/** 0.5 ms of the quickest processor (AMX), 50 ms of the slowest. */
const PEAK_TASKS_PER_THREAD = 1024

const READ_BYTES = 256 << 20
const BUDGET_MS = 400
/** Passes are made so long, by the same command over and over, that starting a list counts for nothing. */
const LEAST_PASS_SECONDS = 0.005
const MOST_COMMANDS = 256

/**
 * Measures both; frees what it allocates. The fastest pass counts: whatever else ran on the machine can
 * only have made the others slower.
 *
 * @returns undefined on a backend without these operations
 */
export async function measureLimits(
  backend: Backend,
  { readBytes = READ_BYTES, budgetMs = BUDGET_MS, now }: LimitOptions = {},
): Promise<MachineLimits | undefined> {
  if (backend.name === 'reference') return undefined
  const fastest = async (make: (allocate: Allocate) => Command): Promise<number> => {
    const once = { budgetMs: 0, least: 1, now }
    const [first] = await timeCommands(backend, (allocate) => [make(allocate)], once)
    const count = Math.min(MOST_COMMANDS, Math.ceil(LEAST_PASS_SECONDS / first))
    const several = (allocate: Allocate) => Array<Command>(count).fill(make(allocate))
    return Math.min(...(await timeCommands(backend, several, { budgetMs, now }))) / count
  }
  const most = Math.min(readBytes, backend.largestOperand ?? readBytes)
  const pieces = Math.max(1, Math.floor(most / READ_PIECE))
  const tasks = PEAK_TASKS_PER_THREAD * backend.threads
  const readSeconds = await fastest((allocate) => {
    const from = allocate(pieces * READ_PIECE, 'bandwidth', 1, 'weights')
    const sinks = allocate(pieces * VECTOR_BYTES, 'bandwidth sinks', 0)
    return { op: 'read-bytes', rows: pieces, from, sinks }
  })
  const peakSeconds = await fastest((allocate) => {
    const sums = allocate(tasks * VECTOR_BYTES, 'peak sums', 0)
    const operands = allocate(VECTOR_BYTES, 'peak operands', 1)
    return { op: 'peak-dot', rows: tasks, operands, sums }
  })
  return {
    readBytesPerSecond: (pieces * READ_PIECE) / readSeconds,
    macsPerSecond: (tasks * PEAK_PRODUCTS) / peakSeconds,
  }
}
