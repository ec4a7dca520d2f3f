/**
 * What the backends in this process share: memory that can be seen, and a queue of writes, programs and
 * reads in the order of the calls. A subclass has the memory, and makes and runs what commands become.
 */
import { messageOf } from '../checks.ts'
import { BackendError, ShapeError } from '../errors.ts'
import { type BufferSlice, sliceBytes } from '../kernels/slice.ts'
import { CheckedBackend, type OwnBuffer } from './checked-backend.ts'
import { WorkQueue } from './work-queue.ts'

export abstract class QueueBackend<Memory, Work> extends CheckedBackend<Memory, Work> {
  readonly #queue = new WorkQueue()

  protected override put(own: OwnBuffer<Memory>, byteOffset: number, bytes: Uint8Array): void {
    if (this.#queue.isIdle) {
      this.view(own).set(bytes, byteOffset)
      return
    }
    const copy = new Uint8Array(bytes)
    this.#queue.add(() => this.view(own).set(copy, byteOffset))
  }

  protected override take(own: OwnBuffer<Memory>, slice: BufferSlice): Promise<Uint8Array> {
    return this.#queue.ask(() => sliceBytes(this.view(own), slice).slice())
  }

  protected override start(work: Work): void {
    this.#queue.add(() => this.#run(work))
  }

  async #run(work: Work): Promise<void> {
    try {
      await this.run(work)
    } catch (cause) {
      if (cause instanceof BackendError) throw cause
      throw new BackendError(`A pass failed: ${messageOf(cause)}. Load the model again.`, { cause })
    }
  }

  protected override settle(): Promise<void> {
    return this.#queue.ask(() => {})
  }

  protected override finish(last: () => void): Promise<void> {
    return this.#queue.finish(last)
  }

  /** Does something after all that was submitted so far, with its result for the caller. */
  protected ask<T>(work: () => T | Promise<T>): Promise<T> {
    return this.#queue.ask(work)
  }

  protected override afterWork(giveUp: () => void): void {
    if (this.#queue.isIdle) giveUp()
    else void this.#queue.finish(giveUp)
  }

  /** A slice's memory for a caller, who may write to it. */
  protected viewForCaller(slice: BufferSlice): Uint8Array {
    const own = this.ownSlice(slice)
    if (own.columns === undefined) return sliceBytes(this.view(own), slice)
    throw new ShapeError(
      `Expected a buffer whose memory may be written to in place, got "${own.label}" of indices. Use ` +
        'write, which checks them.',
    )
  }

  protected abstract view(buffer: OwnBuffer<Memory>): Uint8Array
  protected abstract run(work: Work): void | Promise<void>
}
