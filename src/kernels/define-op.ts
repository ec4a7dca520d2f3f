/**
 * An operation, said once: its command's slices and numbers, what is checked, the scratch memory it needs
 * and the reference. What backends and tests ask of a command follows from it (commands.ts), and so do the
 * native lists and the C header (native-list.ts, c-header.ts).
 */
import { Checker } from './checker.ts'
import type { Access, Memory, OperandKind, Part } from './operand-kinds.ts'
import { type BufferSlice, overlaps, SLICE_ALIGNMENT, sameRange } from './slice.ts'
import type { StepInput } from './step-inputs.ts'

/** What all commands have; `rows` is the number of tokens in the pass, or of rows in a piece. */
export interface AnyCommand {
  readonly op: string
  readonly rows: number
}

/** One slice of a command. */
export interface Operand {
  /** The command's own name for it, e.g. "weights.scales". */
  readonly name: string
  readonly slice: BufferSlice
  /** Bytes the slice must have. */
  readonly byteLength: number
  readonly access: Access
}

/** Undefined where the command leaves it out. */
export type MaybeOperand = Operand | undefined

/** The fields of a command that are slices or groups of slices. */
type SliceField<C> = {
  [K in keyof C]-?: true extends HasSlice<NonNullable<C[K]>> ? K : never
}[keyof C]
type HasSlice<F> = {
  [K in keyof F]-?: NonNullable<F[K]> extends BufferSlice ? true : false
}[keyof F]

type NumberField<C> = {
  [K in keyof C]-?: C[K] extends number | undefined ? K : never
}[keyof C]

/** Every slice field of a command has its kind: one that is left out does not compile. */
type Kinds<C> = { readonly [K in SliceField<C>]: OperandKind<C, NonNullable<C[K]>, unknown> }

/** What the reference sees of the slice fields. */
type Views<C, K extends Kinds<C>> = {
  readonly [F in SliceField<C>]:
    | ReturnType<K[F]['view']>
    | (undefined extends C[F] ? undefined : never)
}

/**
 * How near a result is to the reference's on every backend: the same bytes, or within a tolerance that
 * follows from the command's numbers.
 */
export type Agreement<C> = 'exact' | { within(command: C): Tolerance }

/** What a difference may be: the sum of all three. */
export interface Tolerance {
  readonly absolute?: number
  /** Of the expected element's magnitude. */
  readonly relative?: number
  /** Of the largest expected magnitude in the slice. */
  readonly ofLargest?: number
}

/** Whether floats are rounded in the reference's order, which makes results equal, or in another. */
export type Rounding = 'reference' | 'own'

/** Workgroups of a dispatch. */
export type Workgroups = readonly [x: number, y: number]

/** A second dispatch of a command, and the memory between the two. */
export interface Finish {
  readonly workgroups: Workgroups
  readonly betweenBytes: number
}

/** What both sides know by one name. */
export type Constant = number | readonly string[]

export interface Description<C extends AnyCommand, K extends Kinds<C>> {
  readonly name: C['op']
  readonly operands: K
  /** Pairs of fields that may be the same memory, all of it; no other operand may overlap one that changes. */
  readonly inPlace?: readonly (readonly [SliceField<C>, SliceField<C>])[]
  /** Whole numbers from 1 to these limits. */
  readonly counts?: { readonly [F in NumberField<C>]?: number }
  /** What else must hold before the slices' lengths are looked at. */
  check?(check: Checker, command: C): void
  /** Numbers for the native side beside `rows` and those of the operands. */
  readonly integers?: Readonly<Record<string, (command: C) => number>>
  readonly floats?: Readonly<Record<string, (command: C) => number>>
  /** What memory may hold no more than, because it picks addresses; it lies in a buffer of indices. */
  indices?(command: C): readonly StepInput[]
  /**
   * What the command writes to buffers of indices, which nothing else may: values that the kernel itself keeps
   * below these limits.
   */
  writtenIndices?(command: C): readonly StepInput[]
  /** Bytes that all threads of a native backend may write to while the command runs. */
  scratch?(command: C): number
  /** A slice whose sparse end may lie in a file; see MappedFile. */
  sparse?(command: C): BufferSlice | undefined
  /** Undefined for what only measures a machine: only backends in C have it. */
  readonly reference: ((memory: Views<C, K>, command: C) => void) | undefined
  /** Of all results, or of some by their names; those not named are exact. */
  readonly agreement: Agreement<C> | { readonly [F in SliceField<C>]?: Agreement<C> }
  /**
   * The same on backends that do not round in the reference's order (see Backend.rounding). Unset: as
   * `agreement`.
   */
  readonly nearly?: Agreement<C> | { readonly [F in SliceField<C>]?: Agreement<C> }
  /**
   * Of the shader base.wgsl in the operation's folder, whose entry point is `main`. Undefined where there
   * is none, or none for this command.
   */
  readonly workgroups?: (command: C) => Workgroups | undefined
  /**
   * Of finish.wgsl, where a command takes two dispatches: what base.wgsl leaves lies in a binding behind the slices,
   * `between`, which both have. Undefined for a command that takes one.
   */
  readonly finish?: (command: C) => Finish | undefined
  /** Numbers that the C side knows too, by their names there, and names that stand for 0, 1, 2 ... */
  readonly constants?: Readonly<Record<string, Constant>>
}

/** A number of a command, by its name on the native side. */
export interface NumberOf<C> {
  readonly name: string
  value(command: C): number
}

/** A slice of a command, by its name on the native side. */
export interface SliceOf<C> {
  readonly name: string
  readonly element: Part<C, unknown>['element']
  /** Whether no command of this operation changes it. */
  readonly isConst: boolean
}

/** What follows from a description. */
export interface Operation<C extends AnyCommand = AnyCommand> {
  readonly name: C['op']
  /** All slices that the operation may have, and all numbers, in the native side's order. */
  readonly slices: readonly SliceOf<C>[]
  readonly integers: readonly NumberOf<C>[]
  readonly floats: readonly NumberOf<C>[]
  readonly constants: Readonly<Record<string, Constant>>
  readonly hasReference: boolean
  /** How many slots a command takes in a native list, its operation's number included. */
  readonly slotCount: number
  /** Undefined where it needs none, whatever the command. */
  scratch?(command: C): number
  sparse?(command: C): BufferSlice | undefined
  indices?(command: C): readonly StepInput[]
  writtenIndices?(command: C): readonly StepInput[]
  /** The command's slices; its numbers need not be valid yet. */
  operands(command: C): Operand[]
  /**
   * What every backend checks when a command is recorded, so that a kernel can trust its operands: numbers
   * are within their bounds, slices are long enough, and nothing is read that the same command overwrites.
   *
   * @returns its operands, one for each of `slices`
   * @throws ShapeError naming the operation and the operand, what it must be and what it is
   */
  validate(command: C): readonly MaybeOperand[]
  /** Runs the reference on a valid command. */
  run(command: C, memory: Memory): void
  workgroups?(command: C): Workgroups | undefined
  finish?(command: C): Finish | undefined
  /**
   * @param field a slice field of the command
   * @param rounding the backend's
   */
  agreement(field: string, rounding?: Rounding): Agreement<C>
}

/** Describes the operation of one command: `defineOp<RmsNormCommand>()({ ... })`. */
export function defineOp<C extends AnyCommand>() {
  return <K extends Kinds<C>>(description: Description<C, K>): Operation<C> => {
    const {
      name,
      scratch,
      sparse,
      indices,
      writtenIndices,
      workgroups,
      finish,
      reference,
      constants = {},
    } = description
    const fields = Object.entries(description.operands) as [keyof C & string, AnyKind<C>][]
    const places = fields.flatMap(([field, { parts, access }]) =>
      parts.map((part) => ({ field, name: joined(field, part.name), part, access })),
    )
    const counts = Object.entries(description.counts ?? {}) as [keyof C & string, number][]
    const rows = { name: 'rows', value: (command: C) => command.rows }
    const checked = fields.filter(([, kind]) => kind.check !== undefined)
    const check = new Checker(name)
    const integers = [rows, ...numbersOf(fields, 'integers'), ...ownNumbers(description.integers)]
    const floats = [...numbersOf(fields, 'floats'), ...ownNumbers(description.floats)]
    const extras = Number(scratch !== undefined) + Number(sparse !== undefined)
    return {
      name,
      slotCount: 1 + places.length + extras + integers.length + floats.length,
      slices: places.map(({ name, part, access }) => ({
        name,
        element: part.element,
        isConst: access === 'read',
      })),
      integers,
      floats,
      constants,
      hasReference: reference !== undefined,
      ...(scratch && { scratch }),
      ...(sparse && { sparse }),
      ...(indices && { indices }),
      ...(writtenIndices && { writtenIndices }),
      ...(workgroups && { workgroups }),
      ...(finish && { finish }),
      operands: (command) => operandsAt(places, command).filter((own) => own !== undefined),
      validate(command) {
        check.count('rows', command.rows)
        for (const [field, kind] of checked) {
          const group = command[field]
          if (group !== undefined) kind.check?.(check, field, group)
        }
        for (const [field, limit] of counts) {
          const count = command[field]
          if (count !== undefined) check.count(field, count as number, limit)
        }
        description.check?.(check, command)
        const operands = operandsAt(places, command)
        const written = writtenIndices?.(command).map(({ slice }) => slice)
        checkMemory(check, operands, description.inPlace as Pairs | undefined, written)
        return operands
      },
      run(command, memory) {
        const views: Record<string, unknown> = {}
        for (const [field, kind] of fields) {
          if (command[field] !== undefined) views[field] = kind.view(command[field], memory)
        }
        reference?.(views as Views<C, K>, command)
      },
      agreement(field, rounding = 'reference') {
        const { agreement: own, nearly = own } = description
        const agreement = rounding === 'own' ? nearly : own
        if (typeof agreement === 'string' || 'within' in agreement) return agreement as Agreement<C>
        return (agreement as Readonly<Record<string, Agreement<C>>>)[field] ?? 'exact'
      },
    }
  }
}

type AnyKind<C> = OperandKind<C, unknown, unknown>
type Numbers<C> = Readonly<Record<string, (command: C) => number>>
type Pairs = readonly (readonly string[])[]

interface Place<C> {
  readonly field: keyof C
  readonly name: string
  readonly part: Part<C, unknown>
  readonly access: AnyKind<C>['access']
}

function sliceAt(group: unknown, name: string): BufferSlice | undefined {
  if (name === '' || group === undefined) return group as BufferSlice | undefined
  return (group as Readonly<Record<string, BufferSlice | undefined>>)[name]
}

function joined(field: string, part: string): string {
  return part === '' ? field : `${field}.${part}`
}

function ownNumbers<C>(numbers: Numbers<C> = {}): NumberOf<C>[] {
  return Object.entries(numbers).map(([name, value]) => ({ name, value }))
}

/** Those that fields bring along; 0 where the field is left out. */
function numbersOf<C>(
  fields: readonly [keyof C & string, AnyKind<C>][],
  which: 'integers' | 'floats',
): NumberOf<C>[] {
  return fields.flatMap(([field, kind]) =>
    Object.entries(kind[which] ?? {}).map(([name, value]) => ({
      name: joined(field, name),
      value: (command: C) => {
        const group = command[field]
        return group === undefined ? 0 : value(group)
      },
    })),
  )
}

function operandsAt<C>(places: readonly Place<C>[], command: C): MaybeOperand[] {
  const operands: MaybeOperand[] = []
  for (const { field, name, part, access } of places) {
    const group = command[field]
    const slice = sliceAt(group, part.name)
    if (slice === undefined) {
      operands.push(undefined)
      continue
    }
    const byteLength = part.byteLength(group, command)
    const own = typeof access === 'string' ? access : access(command)
    operands.push({ name, slice, byteLength, access: own })
  }
  return operands
}

/** Memory that changes must be no part of another operand, but for what works in place. */
function checkMemory(
  check: Checker,
  operands: readonly MaybeOperand[],
  inPlace: Pairs = [],
  writtenIndices: readonly BufferSlice[] = [],
): void {
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i]
    if (operand === undefined) continue
    const { name, slice, byteLength, access } = operand
    const misfit = misfitOf(slice, byteLength, writtenIndices.includes(slice) ? 'read' : access)
    if (misfit) check.fail(`buffer "${slice.label}" (${name})`, ...misfit)
    for (let k = 0; k < i; k++) {
      const before = operands[k]
      if (before === undefined || !overlaps(before.slice, slice)) continue
      if (access === 'read' && before.access === 'read') continue
      const isPair = inPlace.some((pair) => pair.includes(name) && pair.includes(before.name))
      if (isPair && sameRange(before.slice, slice)) continue
      check.fail(name, `other memory than ${before.name}`, `"${slice.label}", which overlaps it`)
    }
  }
}

/** What a slice should be and what it is, if it is not what its operand needs. */
function misfitOf(
  { buffer, byteOffset, byteLength }: BufferSlice,
  needed: number,
  access: Access,
): [expected: string, got: unknown] | undefined {
  if (byteLength < needed) return [`at least ${needed} bytes`, byteLength]
  if (byteOffset % SLICE_ALIGNMENT !== 0) {
    return [`a slice from a multiple of ${SLICE_ALIGNMENT} bytes on`, byteOffset]
  }
  if (access !== 'read' && buffer.columns) return ['written to', 'a buffer of indices']
  return undefined
}
