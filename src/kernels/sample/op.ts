import { defineOp } from '../define-op.ts'
import { floats, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { STEP_WORDS } from '../step.ts'
import { rowInput } from '../step-inputs.ts'
import {
  MAX_SAMPLED_COLS,
  sample as reference,
  SETTING,
  SETTING_WORDS,
  TOP_P_ONE,
  WEIGHT_ONE,
} from './reference.ts'

/**
 * tokens (rows) int32: drawn from each row of logits (rows, cols) as its settings say, -1 where nothing can
 * be drawn; see sample/reference.ts. Random numbers follow from the position that the row of the pass has
 * in the step buffer; `index` (rows) says which row that is.
 */
export interface SampleCommand {
  readonly op: 'sample'
  readonly rows: number
  /** The size of the vocabulary. */
  readonly cols: number
  readonly logits: BufferSlice
  readonly settings: BufferSlice
  readonly step: BufferSlice
  readonly index: BufferSlice
  readonly tokens: BufferSlice
}

/** Buckets by which a front of the ranking is found in C: eleven bits of a logit at a time. */
const SAMPLE_BUCKETS = 2048

/** Lanes that share no buckets. */
const SAMPLE_LANES = 2

/** Tokens that may be in a front, each with its logit, where they are not gone through in their row. */
const SAMPLE_ROOM = 16384

/** Numbers of eight bytes that a row needs in C. */
export const SAMPLE_WORDS = SAMPLE_LANES * SAMPLE_BUCKETS + SAMPLE_ROOM

export const sample = defineOp<SampleCommand>()({
  name: 'sample',
  operands: {
    logits: floats((c) => c.rows * c.cols),
    settings: words((c) => c.rows * SETTING_WORDS),
    // At least one entry; which ones are read depends on `index`.
    step: words(() => STEP_WORDS),
    index: words((c) => c.rows),
    tokens: words((c) => c.rows, 'write'),
  },
  counts: { cols: MAX_SAMPLED_COLS },
  integers: { cols: (c) => c.cols },
  indices: ({ step, index }) => [rowInput(step, STEP_WORDS, { slice: index, stride: 1 })],
  // A bucket is the sum of its weights, or their number; a token and its logit take as much.
  scratch: ({ rows }) => rows * SAMPLE_WORDS * 8,
  reference: (m, c) => reference(m.tokens, m.logits, m.settings, m.step, m.index, c.rows, c.cols),
  agreement: 'exact',
  workgroups: ({ rows }) => [rows, 1],
  constants: {
    SETTING_WORDS,
    SETTING: Object.keys(SETTING),
    TOP_P_ONE,
    WEIGHT_ONE,
    SAMPLE_BUCKETS,
    SAMPLE_LANES,
    SAMPLE_ROOM,
    SAMPLE_WORDS,
  },
})
