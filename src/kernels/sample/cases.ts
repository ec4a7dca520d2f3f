/** Cases of sample: each filter alone and together, ties, logits of every kind, rows that differ in all. */
import { type KernelCase, Seeded, stepWords } from '../testing/conformance-cases.ts'
import { SETTING, SETTING_WORDS, TOP_P_ONE, WIDEST_GAP } from './reference.ts'

export interface RowSettings {
  readonly temperature?: number
  readonly widest?: number
  readonly topK?: number
  readonly topP?: number
}

/** The words of a row's settings; its seed and its sequence follow from its number. */
export function settingWords(all: readonly RowSettings[]): Int32Array {
  const words = new Int32Array(all.length * SETTING_WORDS)
  const floats = new Float32Array(words.buffer)
  for (const [row, { temperature = 1, widest = WIDEST_GAP, topK = 0, topP = 1 }] of all.entries()) {
    const at = row * SETTING_WORDS
    floats[at + SETTING.inverse] = 1 / temperature
    floats[at + SETTING.widest] = widest
    words[at + SETTING.topK] = topK
    words[at + SETTING.topP] = Math.round(topP * TOP_P_ONE)
    words[at + SETTING.seedLow] = 0x9e3779b9 * (row + 1)
    words[at + SETTING.seedHigh] = row * 3
    words[at + SETTING.sequence] = row & 3
  }
  return words
}

interface Shape {
  readonly what: string
  readonly cols: number
  readonly rows: readonly RowSettings[]
  readonly magnitude?: number
  /** Changes the logits of a row. */
  readonly shape?: (logits: Float32Array, row: number) => void
}

function sampleCase({ what, cols, rows, magnitude = 8, shape }: Shape): KernelCase {
  return {
    name: `${rows.length} x ${cols}, ${what}`,
    create() {
      const random = new Seeded(cols + rows.length)
      const logits = random.floats(rows.length * cols, magnitude)
      for (let row = 0; row < rows.length; row++) {
        shape?.(logits.subarray(row * cols, (row + 1) * cols), row)
      }
      // A pass of one row more, taken from its end.
      const positions = Array.from({ length: rows.length + 1 }, () => random.below(5000))
      return {
        contents: {
          logits,
          settings: settingWords(rows),
          step: stepWords(positions.map((position) => ({ position }))),
          index: Int32Array.from(rows, (_, row) => rows.length - row),
          tokens: new Int32Array(rows.length).fill(-12345),
        },
        command: (buffers) => ({
          op: 'sample',
          rows: rows.length,
          cols,
          logits: buffers['logits'],
          settings: buffers['settings'],
          step: buffers['step'],
          index: buffers['index'],
          tokens: buffers['tokens'],
        }),
      }
    },
  }
}

const GREEDY: RowSettings = { topK: 1 }
/** Each filter alone, in pairs, and all together. */
export const FILTERS: readonly RowSettings[] = [
  GREEDY,
  {},
  { temperature: 0.3 },
  { temperature: 1e9 },
  { temperature: 1e-30 },
  { topK: 2 },
  { topK: 7 },
  { topK: 1000 },
  { topP: 2 ** -24 },
  { topP: 0.5, temperature: 2 },
  { topP: 0.95 },
  { topP: 1 - 2 ** -24, temperature: 8 },
  { widest: 0 },
  { widest: 3 },
  { topK: 12, topP: 0.7, temperature: 4 },
  { topK: 12, topP: 0.9, widest: 2, temperature: 3 },
]

export const cases: readonly KernelCase[] = [
  ...[1, 2, 15, 16, 17, 33, 1000].map((cols) =>
    sampleCase({ what: 'every filter', cols, rows: FILTERS }),
  ),
  sampleCase({
    what: 'equal logits in groups',
    cols: 331,
    rows: FILTERS,
    shape: (logits) => {
      for (const [i, logit] of logits.entries()) logits[i] = Math.round(logit / 4)
    },
  }),
  sampleCase({
    what: 'zeros of both signs',
    cols: 50,
    rows: FILTERS,
    magnitude: 0,
    shape: (logits) => {
      for (let i = 0; i < 50; i += 3) logits[i] = -0
    },
  }),
  sampleCase({
    what: 'few that can come',
    cols: 97,
    rows: FILTERS,
    shape: (logits, row) => {
      for (let i = 0; i < 97; i++) if (i % 16 !== row) logits[i] = -Infinity
    },
  }),
  sampleCase({ what: 'huge logits', cols: 200, rows: FILTERS, magnitude: 3e38 }),
  sampleCase({ what: 'tiny logits', cols: 200, rows: FILTERS, magnitude: 1e-30 }),
  sampleCase({
    what: 'logits far below 0',
    cols: 70,
    rows: FILTERS,
    shape: (logits) => {
      for (let i = 0; i < logits.length; i++) logits[i] -= 1e4
    },
  }),
  sampleCase({
    what: 'no logits to draw from',
    cols: 40,
    rows: FILTERS.slice(0, 5),
    shape: (logits, row) => {
      if (row === 0) logits.fill(-Infinity)
      if (row === 1) logits[39] = Number.NaN
      if (row === 2) logits[3] = Infinity
      if (row === 3) logits[0] = Number.NaN
    },
  }),
  sampleCase({
    what: 'a whole vocabulary',
    cols: 128_256,
    rows: [
      ...[GREEDY, {}, { topK: 40, topP: 0.9 }, { topP: 0.9 }, { topK: 30_000, temperature: 2 }],
      ...[
        { topK: 10_000, topP: 0.5 },
        { topK: 10_000, topP: 0.2, temperature: 4 },
      ],
    ],
    magnitude: 4,
  }),
]
