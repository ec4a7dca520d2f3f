/**
 * Losses of several steps, and the norms of their gradients, gathered where they lie and read together: a read waits for
 * all that was submitted, and leaves a GPU without work.
 */
import type { Program } from '../backends/backend.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, SLICE_ALIGNMENT, sliceOf } from '../kernels/slice.ts'
import type { TrainingMemory } from './memory.ts'

/** The loss of a step, in nats a token, and the norm of its gradient before it was clipped. */
export interface StepLoss {
  readonly loss: number
  readonly norm: number
}

export class StepLosses {
  readonly #memory: TrainingMemory
  readonly #lossScale: number
  readonly #kept: BufferSlice
  /** Each keeps what there is in a place of its own. */
  readonly programs: readonly Program[]
  /** Bytes from one place to the next. */
  readonly #stride: number
  #count = 0

  private constructor(
    memory: TrainingMemory,
    lossScale: number,
    kept: BufferSlice,
    programs: readonly Program[],
    stride: number,
  ) {
    this.#memory = memory
    this.#lossScale = lossScale
    this.#kept = kept
    this.programs = programs
    this.#stride = stride
  }

  /** @param most steps that are kept before they are read */
  static async open(memory: TrainingMemory, lossScale: number, most: number): Promise<StepLosses> {
    const { owner, losses, squareSum } = memory
    const aligned = (bytes: number) => Math.ceil(bytes / SLICE_ALIGNMENT) * SLICE_ALIGNMENT
    const normAt = aligned(losses.byteLength)
    const stride = normAt + SLICE_ALIGNMENT
    const kept = owner.allocate(most * stride, 'losses of steps')
    const copy = (x: BufferSlice, at: number): Command => {
      const out = sliceOf(kept, at, x.byteLength)
      return { op: 'axpy', rows: x.byteLength / WORD, cols: 1, scale: 1, x, out }
    }
    const { backend } = owner
    await backend.ready()
    const programs = await Promise.all(
      Array.from({ length: most }, (_, i) =>
        backend.record([copy(losses, i * stride), copy(squareSum, i * stride + normAt)]),
      ),
    )
    return new StepLosses(memory, lossScale, kept, programs, stride)
  }

  /** Keeps what the last step left. Returns at once; there must be a place for it. */
  keep(): void {
    this.#memory.owner.backend.submit(this.programs[this.#count])
    this.#count++
  }

  /** What was kept since the last time, in its order. */
  async read(): Promise<StepLoss[]> {
    const count = this.#count
    this.#count = 0
    if (count === 0) return []
    const bytes = await this.#memory.owner.backend.read(
      sliceOf(this.#kept, 0, count * this.#stride),
    )
    const rows = this.#memory.losses.byteLength / WORD
    return Array.from({ length: count }, (_, i) => {
      const own = new Float32Array(
        bytes.buffer,
        bytes.byteOffset + i * this.#stride,
        this.#stride / WORD,
      )
      const squares = own[(this.#stride - SLICE_ALIGNMENT) / WORD]
      return {
        loss: lossOf(own.subarray(0, rows), this.#lossScale),
        norm: normOf(squares, this.#lossScale),
      }
    })
  }
}

/** The sum of losses that were multiplied by a scale. */
export function lossOf(losses: Float32Array, scale: number): number {
  return losses.reduce((sum, loss) => sum + loss, 0) / scale
}

/** From the square of a norm, of gradients that were multiplied by a scale. */
export function normOf(squares: number, scale: number): number {
  return Math.sqrt(squares) / scale
}
