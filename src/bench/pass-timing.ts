/**
 * Times the same work again and again for a while: any, or commands on buffers of their own.
 */
import type { Backend, BufferUse } from '../backends/backend.ts'
import type { IndexColumn } from '../kernels/index-buffer.ts'
import type { Command } from '../kernels/ops.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'
import { type Fill, fillBuffer, type Pieces } from './fill-buffer.ts'

export interface PassOptions {
  /** Milliseconds to go on for. */
  readonly budgetMs: number
  /** Milliseconds since some moment; tests have a clock of their own. */
  readonly now?: (() => number) | undefined
  /** However long a pass takes, there are so many of them; unset: 3. */
  readonly least?: number
  /** However short it is; unset: any number. */
  readonly most?: number
  readonly signal?: AbortSignal | undefined
}

/** Indices that a command finds rows by. */
export interface IndexFill {
  readonly columns: readonly IndexColumn[]
  readonly values: Int32Array
}

/** Allocates a buffer and fills it. */
export type Allocate = (
  byteLength: number,
  label: string,
  fill: Fill | IndexFill,
  use?: BufferUse,
) => DeviceBuffer

const LEAST_PASSES = 3

/** {@link timePasses} of the commands; frees what `make` allocated for them. */
export async function timeCommands(
  backend: Backend,
  make: (allocate: Allocate) => Command[],
  options: PassOptions,
): Promise<number[]> {
  const buffers: DeviceBuffer[] = []
  const pieces: Pieces = new Map()
  const allocate: Allocate = (byteLength, label, fill, use = 'state') => {
    const buffer =
      typeof fill === 'object'
        ? backend.allocateIndices(fill.values.length / fill.columns.length, fill.columns, label)
        : backend.allocate(byteLength, label, use)
    buffers.push(buffer)
    if (typeof fill === 'object') backend.write(buffer, 0, new Uint8Array(fill.values.buffer))
    else fillBuffer(backend, buffer, fill, pieces)
    return buffer
  }
  try {
    const program = await backend.record(make(allocate))
    const pass = () => {
      backend.submit(program)
      return backend.done()
    }
    try {
      return await timePasses(pass, options)
    } finally {
      program.dispose()
    }
  } finally {
    for (const buffer of buffers) backend.free(buffer)
  }
}

/** Seconds of each pass within the budget, after one that is not counted. */
export async function timePasses(
  pass: () => Promise<void>,
  options: PassOptions,
): Promise<number[]> {
  const { budgetMs, now = () => performance.now(), signal } = options
  const { least = LEAST_PASSES, most = Infinity } = options
  await pass()
  const seconds: number[] = []
  const end = now() + budgetMs
  while (seconds.length < least || (seconds.length < most && now() < end)) {
    signal?.throwIfAborted()
    const start = now()
    await pass()
    seconds.push((now() - start) / 1000)
  }
  return seconds
}
