/**
 * What the C side is told of the operations: a struct for each one's commands, the list of them, and every
 * number that both sides know. scripts/build-native.mjs writes it to a file at each build.
 */

import { COLUMN_LINE_BYTES, COLUMN_PANEL_ROWS, TERNARY_ORDERS } from '../ternary/index.ts'
import type { Constant, Operation } from './define-op.ts'
import { SPARSE_SOURCE_BYTES } from './slice.ts'
import { STEP, STEP_WORDS } from './step.ts'
import { CACHE_TYPES, CODES_TYPES, DENSE_TYPES, TERNARY_PACKINGS, VALUES_TYPES } from './storage.ts'

/** What several operations know. */
const SHARED: Readonly<Record<string, Constant>> = {
  SPARSE_SOURCE_BYTES,
  STEP_WORDS,
  STEP_TOKEN: STEP.token,
  STEP_SLOT: STEP.slot,
  STEP_POSITION: STEP.position,
  DENSE: DENSE_TYPES,
  PACKING: TERNARY_PACKINGS,
  ORDER: TERNARY_ORDERS,
  COLUMN_PANEL_ROWS,
  COLUMN_LINE_BYTES,
  CACHE: CACHE_TYPES,
  VALUES: VALUES_TYPES,
  CODES: CODES_TYPES,
}

/** operations.h: to be included by kernel.h, which has `command` and `sparse_source`. */
export function operationsHeader(operations: readonly Operation[]): string {
  const constants = Object.assign({}, SHARED, ...operations.map((o) => o.constants))
  const lines = operations.map((operation) => {
    const { integers, floats, sparse } = operation
    const counts = [pointers(operation).length, integers.length, floats.length, sparse ? 1 : 0]
    return `  OPERATION(${cName(operation.name)}, ${counts.join(', ')})`
  })
  return [
    '// Made by scripts/build-native.mjs from src/kernels/ops.ts and what it lists.',
    '#ifndef BITNET_OPERATIONS_H',
    '#define BITNET_OPERATIONS_H',
    '',
    ...Object.entries<Constant>(constants).map(([name, value]) => constant(name, value)),
    '',
    ...operations.map(commandStruct),
    '// By name, with how many pointers, integers and floats a command has, and whether the last pointer is',
    '// a sparse source.',
    `#define EACH_OPERATION(OPERATION) \\\n${lines.join(' \\\n')}`,
    `#define OPERATIONS ${operations.length}`,
    '',
    '#endif',
    '',
  ].join('\n')
}

/** "firstRow" and "cache.nKvHeads" as first_row and cache_n_kv_heads. */
function cName(name: string): string {
  return name.replaceAll(/[.-]/g, '_').replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function constant(name: string, value: Constant): string {
  if (typeof value === 'number') return `#define ${name} ${value}`
  return `enum { ${value.map((item) => `${name}_${item.toUpperCase()}`).join(', ')} };`
}

/** Declarations of a command's pointers, in the order of its slots; see encodeProgram. */
function pointers(operation: Operation): string[] {
  return [
    ...operation.slices.map(
      ({ name, element, isConst }) => `${isConst ? 'const ' : ''}${element} *${cName(name)};`,
    ),
    ...(operation.scratch ? ['void *scratch;'] : []),
    ...(operation.sparse ? ['sparse_source *sparse;'] : []),
  ]
}

function commandStruct(operation: Operation): string {
  const fields = [
    'command base;',
    ...pointers(operation),
    ...operation.integers.map(({ name }) => `int32_t ${cName(name)};`),
    ...operation.floats.map(({ name }) => `float ${cName(name)};`),
  ]
  return `typedef struct {\n  ${fields.join('\n  ')}\n} ${cName(operation.name)}_command;\n`
}
