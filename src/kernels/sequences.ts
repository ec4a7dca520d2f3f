/** Operations on whole sequences: their rows follow each other, row i of a sequence at position i. */
import { type Checker, MAX_COUNT } from './checker.ts'

/** What training's attention keeps of a head on a thread's stack is a multiple of this. */
const MAX_TRAINED_HEAD_DIM = 128

/** Sequences of `length` rows each, with grouped queries. */
export interface SequenceHeads {
  /** A multiple of `length`. */
  readonly rows: number
  readonly length: number
  readonly nHeads: number
  readonly nKvHeads: number
  readonly headDim: number
}

export function checkSequences(check: Checker, c: SequenceHeads): void {
  const { rows, length, nHeads, nKvHeads, headDim } = c
  check.count('length', length, MAX_COUNT)
  if (rows % length !== 0) check.fail('rows', `a multiple of length (${length})`, rows)
  check.count('nKvHeads', nKvHeads)
  check.count('nHeads', nHeads)
  if (nHeads % nKvHeads !== 0) check.fail('nHeads', `a multiple of nKvHeads (${nKvHeads})`, nHeads)
  check.count('headDim', headDim, MAX_TRAINED_HEAD_DIM)
  if (headDim % 2 !== 0) check.fail('headDim', 'even', headDim)
}

/** Elements of queries, keys and values, (rows, (nHeads + 2 nKvHeads) * headDim). */
export function qkvOf({ rows, nHeads, nKvHeads, headDim }: SequenceHeads): number {
  return rows * (nHeads + 2 * nKvHeads) * headDim
}

/** Elements of what attention gives, (rows, nHeads * headDim). */
export function attendedOf({ rows, nHeads, headDim }: SequenceHeads): number {
  return rows * nHeads * headDim
}

/** For the native side. */
export const sequenceIntegers = {
  length: (c: SequenceHeads): number => c.length,
  nHeads: (c: SequenceHeads): number => c.nHeads,
  nKvHeads: (c: SequenceHeads): number => c.nKvHeads,
  headDim: (c: SequenceHeads): number => c.headDim,
}

/** Queries or keys of a tile of the shaders. */
const TILE = 64

/** Tiles of all sequences. @param tile unset: of the operations' own shaders */
export function sequenceTiles({ rows, length }: SequenceHeads, tile: number = TILE): number {
  return (rows / length) * Math.ceil(length / tile)
}
