/**
 * What the GPU is asked to run for a list of commands: one dispatch or a few for each command, or one for
 * several (fuse.ts).
 */
import type { ValidCommand } from '../../kernels/commands.ts'
import type { MaybeOperand, Workgroups } from '../../kernels/define-op.ts'
import type { Access } from '../../kernels/operand-kinds.ts'
import type { BufferSlice } from '../../kernels/slice.ts'

/** Memory of the program's own, by its name: jobs that name the same share it. */
export interface Scratch {
  readonly scratch: string
  readonly byteLength: number
}

/** Memory that a shader is bound to. */
export interface Binding {
  readonly memory: BufferSlice | Scratch
  readonly access: Access
}

/** A dispatch. Binding 0 of the shader has the numbers and then where each binding's slice begins. */
export interface Job {
  /** In shaders.js. */
  readonly shader: string
  /** What replaces the values of the shader's constants. */
  readonly constants?: Readonly<Record<string, number>>
  readonly integers: readonly number[]
  readonly floats: readonly number[]
  /** Undefined where the command leaves a slice out. */
  readonly bindings: readonly (Binding | undefined)[]
  /** Whether the shader may write to each of them. */
  readonly written: readonly boolean[]
  readonly workgroups: Workgroups
  /**
   * Whether the numbers become constants of the shader where they can: every layer's are the same, and where
   * a dispatch is short, waiting for them is a part of it.
   */
  readonly isFixed?: boolean
  /** A binding that has a part of what the shader counts from its start, so many words before it. */
  readonly before?: { readonly binding: number; readonly words: number }
}

/** What stands in place of where a slice begins when the slice is left out. */
export const ABSENT = 0xffffffff

/**
 * A job's numbers in WGSL, if they may be constants: every slice is from its buffer's start on, and none is
 * to be bound to a copy.
 */
export function fixedNumbers({
  isFixed,
  integers,
  floats,
  bindings,
  written,
}: Job): string | undefined {
  if (!isFixed) return undefined
  const memories = bindings.map((own) => own && ('scratch' in own.memory ? undefined : own.memory))
  const isPlain = memories.every((own, i) => {
    const isShared = memories.some((other, k) => {
      return (
        k !== i && own !== undefined && other?.buffer === own.buffer && (written[i] || written[k])
      )
    })
    return own === undefined || (own.byteOffset === 0 && !isShared)
  })
  if (!isPlain) return undefined
  const bits = new Uint32Array(Float32Array.from(floats).buffer)
  return [
    ...integers.map((value) => `${value}u`),
    ...Array.from(bits, (value) => `bitcast<f32>(${value}u)`),
    ...bindings.map((own) => `${own ? 0 : ABSENT}u`),
  ].join(', ')
}

/** How a shader of an operation's folder is run in place of base.wgsl. */
export type Shading = Pick<Job, 'shader' | 'constants'> & {
  /** Unset: those of base.wgsl. */
  readonly workgroups?: Workgroups
  /** In place of finish.wgsl, with its own workgroups. */
  readonly finish?: Pick<Job, 'shader' | 'workgroups'>
}

/** A command as one dispatch of a shader that has the operation's numbers and slices. */
export function jobOf({ command, operation, operands }: ValidCommand, shading?: Shading): Job {
  const { name, integers, floats, slices } = operation
  return {
    shader: name,
    workgroups: operation.workgroups?.(command) ?? [0, 0],
    ...shading,
    integers: integers.map(({ value }) => value(command)),
    floats: floats.map(({ value }) => value(command)),
    bindings: operands.map(bindingOf),
    written: slices.map(({ isConst }) => !isConst),
  }
}

/** What shaders that store whole matrices must be bound to, even where they store none. */
const LEAST_BETWEEN = 1024

/** A command as its operation's own shaders run it: one dispatch, or two with memory between them. */
export function baseJobs(valid: ValidCommand, shading?: Shading): Job[] {
  const { command, operation } = valid
  const first = jobOf(valid, shading)
  if (operation.finish === undefined) return [first]
  const finish = operation.finish(command)
  const between: Binding = {
    memory: { scratch: 'between', byteLength: finish?.betweenBytes ?? LEAST_BETWEEN },
    access: 'update',
  }
  const withBetween = {
    ...first,
    bindings: [...first.bindings, between],
    written: [...first.written, true],
  }
  if (finish === undefined) return [withBetween]
  const { workgroups } = finish
  const second = {
    shader: `${operation.name}/finish`,
    workgroups,
    ...shading?.finish,
    constants: {},
  }
  return [withBetween, { ...withBetween, ...second }]
}

export function bindingOf(operand: MaybeOperand): Binding | undefined {
  return operand && { memory: operand.slice, access: operand.access }
}
