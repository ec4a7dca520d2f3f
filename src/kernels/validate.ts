/**
 * The checks every backend makes when a command is recorded, so that a kernel can trust its operands:
 * counts are positive integers within their bounds, slices are long enough, and nothing is read that
 * the same command overwrites. What a step buffer holds is checked at each step, in step-inputs.ts.
 */
import { ShapeError } from '../errors.ts'
import { TILE } from '../ternary/index.ts'
import { CACHE_TYPES, MAX_HEAD_DIM } from './attention/layout.ts'
import type {
  Command,
  DenseMatrix,
  DenseType,
  LayerCache,
  RowRange,
  TernaryMatrix,
} from './commands.ts'
import { hasRowScales } from './dense-matmul/layout.ts'
import { MAX_INT8_COLS } from './dense-matmul/reference.ts'
import { ACTIVATIONS } from './gated-activation/reference.ts'
import { MAX_HEAD_COLS } from './head-matmul/reference.ts'
import { type Operand, operandsOf } from './operands.ts'
import { overlaps, SLICE_ALIGNMENT, sameRange } from './slice.ts'

/** A row's elements and bytes are int32 in the kernels; far above any model's width. */
const MAX_COLS = 2 ** 22
/**
 * Some kernels leave codes at 64 times their worth until the end of a row: 128 * 128 * cols / 4 must
 * stay below 2^31.
 */
const MAX_TERNARY_COLS = 2 ** 19 - 1
/** Integer sums of a row must stay within int32. */
const MAX_DENSE_COLS: Record<DenseType, number> = {
  f32: MAX_COLS,
  f16: MAX_COLS,
  int8: MAX_INT8_COLS,
  int4: MAX_HEAD_COLS,
}
/** Row, head and slot numbers are int32 in the kernels, and so is their product with a few heads. */
const MAX_COUNT = 2 ** 24

/**
 * @throws ShapeError naming the operation and the operand, what it must be and what it is
 */
export function validateCommand(command: Command): void {
  const check = new Checker(command.op)
  check.count('rows', command.rows)
  switch (command.op) {
    case 'embed':
      check.dense('table', command.table)
      if (!Number.isFinite(command.factor ?? 1)) {
        check.fail('factor', 'a finite number', command.factor)
      }
      break
    case 'gather-rows':
    case 'token-scores':
      check.cols('cols', command.cols)
      break
    case 'gated-activation':
      check.cols('cols', command.cols)
      if (!ACTIVATIONS.includes(command.activation)) {
        check.fail('activation', ACTIVATIONS.join(', '), command.activation)
      }
      break
    case 'rms-norm':
    case 'quantize':
      check.cols('cols', command.cols)
      check.eps('eps', command.eps)
      break
    case 'ternary-matmul':
      check.ternary('weights', command.weights)
      if (command.part !== undefined) check.part(command.part, command.weights.rows)
      break
    case 'dense-matmul':
      check.dense('weights', command.weights)
      if (command.weights.type === 'int4') check.fail('weights.type', 'f32, f16 or int8', 'int4')
      break
    case 'head-matmul':
      check.dense('weights', command.weights)
      if (command.weights.type !== 'int4') check.fail('weights.type', 'int4', command.weights.type)
      check.count('exactStripes', command.exactStripes)
      break
    case 'pack-ternary':
      check.ternary('out', command.out)
      if (command.codesType === 'i2s' && command.out.cols % 128 !== 0) {
        check.fail('out.cols', 'a multiple of 128 for i2s codes', command.out.cols)
      }
      check.within(command)
      break
    case 'pack-dense': {
      const { out, valuesType = 'f32' } = command
      check.dense('out', out)
      check.within(command)
      if (valuesType !== 'f32' && valuesType !== 'f16' && valuesType !== 'bf16') {
        check.fail('valuesType', 'f32, f16 or bf16', valuesType)
      }
      break
    }
    case 'rope-cache':
      check.heads(command)
      if (command.headNorms !== undefined) check.eps('headNorms.eps', command.headNorms.eps)
      break
    case 'attention':
      check.heads(command)
      if (command.window !== undefined) check.count('window', command.window)
      break
  }
  const operands = operandsOf(command)
  for (const operand of operands) check.place(operand)
  check.aliases(operands)
}

class Checker {
  readonly #op: string

  constructor(op: string) {
    this.#op = op
  }

  fail(name: string, expected: string, got: unknown): never {
    throw new ShapeError(`Expected ${name} of ${this.#op} to be ${expected}, got ${got}.`)
  }

  count(name: string, value: number, limit: number = MAX_COUNT): void {
    if (!Number.isInteger(value) || value < 1 || value > limit) {
      this.fail(name, `an integer from 1 to ${limit}`, value)
    }
  }

  cols(name: string, value: number): void {
    this.count(name, value, MAX_COLS)
  }

  ternary(name: string, matrix: TernaryMatrix): void {
    const { packing = '2bit' } = matrix
    if (packing !== '2bit' && packing !== 'base3') {
      this.fail(`${name}.packing`, '2bit or base3', packing)
    }
    this.count(`${name}.rows`, matrix.rows)
    this.count(`${name}.cols`, matrix.cols, MAX_TERNARY_COLS)
  }

  dense(name: string, matrix: DenseMatrix): void {
    const { type, scales } = matrix
    this.count(`${name}.rows`, matrix.rows)
    if (!Object.hasOwn(MAX_DENSE_COLS, type)) {
      this.fail(`${name}.type`, Object.keys(MAX_DENSE_COLS).join(', '), type)
    }
    this.count(`${name}.cols`, matrix.cols, MAX_DENSE_COLS[type])
    if (hasRowScales(type) && scales === undefined) {
      this.fail(`${name}.scales`, `a buffer for ${type}`, undefined)
    }
  }

  eps(name: string, value: number): void {
    if (!(value >= 0 && value < Infinity)) {
      this.fail(name, 'a finite number of at least 0', value)
    }
  }

  /** Rows that are computed must be rows of the matrix, from a stripe's first on. */
  part({ first, count }: RowRange, rows: number): void {
    this.count('part.count', count, rows)
    if (!Number.isInteger(first) || first < 0 || first % TILE !== 0 || first + count > rows) {
      this.fail('part.first', `a multiple of ${TILE} from 0 to ${rows - count}`, first)
    }
  }

  heads({ nHeads, cache }: { nHeads: number; cache: LayerCache }): void {
    this.cache(cache)
    this.count('nHeads', nHeads)
    if (nHeads % cache.nKvHeads !== 0) {
      this.fail('nHeads', `a multiple of nKvHeads (${cache.nKvHeads})`, nHeads)
    }
  }

  /** Rows that are packed must be rows of the matrix. */
  within(command: { rows: number; firstRow: number; out: { rows: number } }): void {
    const { rows, firstRow, out } = command
    const last = out.rows - rows
    if (!Number.isInteger(firstRow) || firstRow < 0 || firstRow > last) {
      this.fail('firstRow', `an integer from 0 to ${last}`, firstRow)
    }
  }

  cache(layer: LayerCache): void {
    const { type = 'f16' } = layer
    if (!CACHE_TYPES.includes(type)) this.fail('cache.type', CACHE_TYPES.join(' or '), type)
    this.count('cache.slots', layer.slots)
    this.count('cache.nKvHeads', layer.nKvHeads)
    this.count('cache.capacity', layer.capacity)
    if (layer.capacity % 16 !== 0) {
      this.fail('cache.capacity', 'a multiple of 16', layer.capacity)
    }
    this.count('cache.headDim', layer.headDim, MAX_HEAD_DIM)
    if (layer.headDim % 2 !== 0) this.fail('cache.headDim', 'even', layer.headDim)
  }

  place({ name, slice, byteLength }: Operand): void {
    const what = `buffer "${slice.label}" (${name})`
    if (slice.byteLength < byteLength) {
      this.fail(what, `at least ${byteLength} bytes`, slice.byteLength)
    }
    if (slice.byteOffset % SLICE_ALIGNMENT !== 0) {
      this.fail(what, `a slice from a multiple of ${SLICE_ALIGNMENT} bytes on`, slice.byteOffset)
    }
  }

  /** Memory that changes must be no part of another operand; only rms-norm may work in place. */
  aliases(operands: readonly Operand[]): void {
    for (const [i, a] of operands.entries()) {
      for (const b of operands.slice(i + 1)) {
        if (!overlaps(a.slice, b.slice) || (a.access === 'read' && b.access === 'read')) continue
        const isInPlace = this.#op === 'rms-norm' && a.name === 'x' && b.name === 'out'
        if (isInPlace && sameRange(a.slice, b.slice)) continue
        this.fail(b.name, `other memory than ${a.name}`, `"${b.slice.label}", which overlaps it`)
      }
    }
  }
}
