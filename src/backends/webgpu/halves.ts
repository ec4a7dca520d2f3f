/**
 * Operands of matrix units, which round-halves.wgsl rounds before the products that read them: once, where several
 * products do.
 */
import type { ValidCommand } from '../../kernels/commands.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import { overlaps, sliceOf } from '../../kernels/slice.ts'
import { flatWorkgroups } from '../../kernels/workgroups.ts'
import type { Job } from './jobs.ts'
import { isSame } from './neighbours.ts'

/** How an operand lies when it is rounded. */
export interface Rounded {
  /** Of one of the operation's slices. */
  readonly name: string
  /** Of its rows, in fragments of 16 x 16; unset: as they are. */
  readonly fragmentCols?: number
}

/** What the jobs so far have left rounded, by the scratch memory that it lies in. */
export class Halves {
  readonly #held = new Map<string, BufferSlice>()

  /** A command's jobs with operands rounded before them. */
  add(
    { operands, operation }: ValidCommand,
    jobs: readonly Job[],
    rounded: readonly Rounded[],
  ): Job[] {
    const before: Job[] = []
    let all = jobs
    for (const { name, fragmentCols } of rounded) {
      const place = operation.slices.findIndex((slice) => slice.name === name)
      const operand = operands[place]
      if (operand === undefined) continue
      const { slice, byteLength } = operand
      const source = sliceOf(slice, 0, byteLength)
      const scratch = `halves of ${name}${fragmentCols === undefined ? '' : ' in fragments'}`
      const memory = { scratch, byteLength: byteLength / 2 }
      const held = this.#held.get(scratch)
      if (held === undefined || !isSame(held, source) || held.byteLength !== byteLength) {
        before.push({
          shader: 'round-halves',
          constants: { IS_IN_FRAGMENTS: Number(fragmentCols !== undefined) },
          integers: [byteLength / 32, fragmentCols ?? 0],
          floats: [],
          bindings: [
            { memory: source, access: 'read' },
            { memory, access: 'write' },
          ],
          written: [false, true],
          workgroups: flatWorkgroups(byteLength / 32),
        })
        this.#held.set(scratch, source)
      }
      all = all.map((job) => ({
        ...job,
        bindings: job.bindings.map((own, i) => (i === place ? { memory, access: 'read' } : own)),
      }))
    }
    return [...before, ...all]
  }

  /** What a command writes to is no longer what was rounded. */
  forget({ operands }: ValidCommand): void {
    for (const own of operands) {
      if (own === undefined || own.access === 'read') continue
      for (const [scratch, source] of this.#held) {
        if (overlaps(source, own.slice)) this.#held.delete(scratch)
      }
    }
  }
}
