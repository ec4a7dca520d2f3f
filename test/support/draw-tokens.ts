/** For tests: what an engine without a backend draws from logits, by the operations' references. */
import { adjustLogits } from '../../src/kernels/adjust-logits/reference.ts'
import { DRAWN_FLOATS, logProbs } from '../../src/kernels/log-probs/reference.ts'
import { sample } from '../../src/kernels/sample/reference.ts'
import {
  type DrawnTokens,
  penaltyFloats,
  settingWords,
  type TokenDraw,
  type TokenOdds,
} from '../../src/model/token-draw.ts'

/** One row of logits: of the last of `tokens`. */
export interface LogitRow {
  readonly logits: Float32Array
  readonly tokens: readonly number[]
  readonly draw: TokenDraw
}

export function drawTokens(rows: readonly LogitRow[], likeliest: number | undefined): DrawnTokens {
  const odds = rows.map((row) => drawRow(row, likeliest ?? 0))
  const ids = Int32Array.from(odds, ({ id }) => id)
  return likeliest === undefined ? { ids } : { ids, odds }
}

function drawRow({ logits, tokens, draw }: LogitRow, likeliest: number): TokenOdds {
  const cols = logits.length
  const position = tokens.length - 1
  const step = Int32Array.of(tokens[position], 0, position, 0)
  const index = Int32Array.of(0)
  const biases = [...(draw.biases ?? [])]
  const scores = new Float32Array(cols)
  adjustLogits(scores, logits, 1, cols, {
    amounts: Float32Array.from([...penaltyFloats(draw), ...biases.map(([, bias]) => bias)]),
    biasTokens: Int32Array.from(biases, ([token]) => token),
    biasCount: biases.length,
    history: Int32Array.from(tokens),
    capacity: tokens.length,
    step,
    index,
    mask: draw.allowed && new Int32Array(draw.allowed),
  })
  const drawn = new Int32Array(1)
  sample(drawn, scores, settingWords(draw), step, index, 1, cols)
  const count = Math.max(1, likeliest)
  const floats = new Float32Array(DRAWN_FLOATS + count)
  const best = new Int32Array(count)
  logProbs(floats, best, logits, drawn, 1, cols, count)
  const logSum = Math.log(floats[1])
  return {
    id: drawn[0],
    logProb: floats[0] - logSum,
    likeliest: Array.from(best.subarray(0, likeliest), (id, i) => ({
      id,
      logProb: floats[DRAWN_FLOATS + i] - logSum,
    })),
  }
}
